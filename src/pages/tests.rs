//! Guarantees of every page for any input.

use super::*;

/// Markup for every quoting context, a direction override, a control character.
const HOSTILE: &str =
    "</title></style></pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u{202E}\u{7}";

/// All pages, with `text` in every text field and `url` in every URL field.
fn every_page(text: &str, url: &str) -> Vec<(&'static str, Page)> {
    let scopes = [text];
    let server = ServerChoice { value: text, name: text, description: text, resource: text, scopes: &scopes };
    let consent = Consent {
        action: text,
        client_name: text,
        client_origin: ClientOrigin::VerifiedHost(text),
        redirect_host: text,
        loopback: true,
        untrusted: true,
        servers: &[server],
        request: text,
        problem: Some(text),
    };
    let card = ServerCard { name: text, description: text, url, id: text };
    let problem = |what_to_do| {
        Problem { title: text, what_happened: text, what_to_do, detail: text, request_id: text }.page()
    };
    let redirect_page =
        |outcome| RedirectPage { to: url, destination: text, outcome, is_automatic: true }.page();
    let by_hand = |outcome| RedirectPage { to: url, destination: text, outcome, is_automatic: false }.page();
    vec![
        ("consent", consent.page()),
        ("consent, several", Consent { servers: &[server, server], ..consent }.page()),
        ("consent, none", Consent { servers: &[], ..consent }.page()),
        ("consent, untrusted", Consent { loopback: false, ..consent }.page()),
        ("consent, unverified", Consent { client_origin: ClientOrigin::SelfRegistered, ..consent }.page()),
        ("redirect, approved", redirect_page(Outcome::Approved)),
        ("redirect, denied", redirect_page(Outcome::Denied)),
        ("redirect, failed", redirect_page(Outcome::Failed { why: text, request_id: text })),
        ("redirect, to sign in", redirect_page(Outcome::ToSignIn)),
        ("redirect by hand, denied", by_hand(Outcome::Denied)),
        ("redirect by hand, failed", by_hand(Outcome::Failed { why: text, request_id: text })),
        ("problem, register", problem(Guidance::RegisterAgain)),
        ("problem, start", problem(Guidance::StartAgain)),
        ("problem, cookies", problem(Guidance::AllowCookies)),
        ("problem, text", problem(Guidance::Text(text))),
        ("error redirect", ErrorRedirect { host: text, error: text, description: text, to: url }.page()),
        ("landing", Landing { base_url: url, environment: text, servers: &[card] }.page()),
        ("landing, empty", Landing { base_url: url, environment: text, servers: &[] }.page()),
    ]
}

/// Tags of a document in order, without attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|tag| tag.split(|c: char| c == '>' || c.is_whitespace()).next().unwrap())
        .collect()
}

#[test]
fn all_fields_of_all_pages_are_escaped() {
    let url = format!("https://client.example/{HOSTILE}");
    let plain = every_page("plain", "https://client.example/");
    for ((name, hostile), (_, plain)) in every_page(HOSTILE, &url).iter().zip(plain) {
        assert_eq!(tags(&hostile.html), tags(&plain.html), "{name}");
        let quotes = |page: &Page| page.html.matches('"').count();
        assert_eq!(quotes(hostile), quotes(&plain), "{name}");
    }
}

#[test]
fn pages_have_no_scripts_and_load_no_resources() {
    for (name, page) in every_page(HOSTILE, "https://client.example/") {
        let html = page.html.to_lowercase();
        for forbidden in
            ["<script", "<img", "<link", "<iframe", "<base", "@import", "url(", " style=", " onerror=\""]
        {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
    }
}

#[test]
fn every_page_is_accessible_to_screen_readers_and_keyboards() {
    for (name, page) in every_page("plain", "https://client.example/") {
        let html = page.html;
        let once = ["<html lang=\"en\">", "<title>", "<h1>", "<main ", "name=\"viewport\""];
        assert!(once.iter().all(|tag| html.matches(tag).count() == 1), "{name}: {html}");
        assert!(
            !html.contains("tabindex") && !html.contains("autofocus") && !html.contains("onclick"),
            "{name}"
        );
        let heads =
            html.split("<svg").skip(1).filter(|svg| !svg.split('>').next().unwrap().contains("aria-hidden"));
        assert_eq!(heads.count(), 0, "{name}: a picture that is read out");
    }
}

#[test]
fn untrusted_client_text_is_sanitized() {
    let hidden = "a\u{202E}b\u{200B}c\u{7}d";
    for (name, page) in every_page("plain", "https://client.example/") {
        assert!(page.html.contains("<!doctype html>") && page.html.contains("lang=\"en\""), "{name}");
    }
    let consent = Consent { client_name: hidden, redirect_host: hidden, ..consent() }.page().html;
    let redirect_page =
        RedirectPage { to: "x:", destination: hidden, outcome: Outcome::Denied, is_automatic: true }
            .page()
            .html;
    let what_to_do = Guidance::Text(hidden);
    let problem =
        Problem { title: hidden, what_happened: hidden, what_to_do, detail: hidden, request_id: "1" };
    let error = ErrorRedirect { host: hidden, error: hidden, description: hidden, to: "x:" }.page().html;
    for html in [consent, redirect_page, problem.page().html, error] {
        assert!(html.contains("abcd"));
        assert!(!html.contains(['\u{202E}', '\u{200B}', '\u{7}']), "{html}");
    }
}

fn consent() -> Consent<'static> {
    const DICE: ServerChoice<'static> = ServerChoice {
        value: "/mcp/dice/",
        name: "Dice",
        description: "Rolls dice.",
        resource: "https://mcp.example.com/mcp/dice",
        scopes: &["dice:roll"],
    };
    Consent {
        action: "/auth/authorize",
        client_name: "Claude Code",
        client_origin: ClientOrigin::SelfRegistered,
        redirect_host: "localhost",
        loopback: true,
        untrusted: false,
        servers: &[DICE],
        request: "sealed-request",
        problem: None,
    }
}

#[test]
fn the_consent_form_has_the_fields_of_the_endpoint() {
    let html = consent().page().html;
    for part in [
        r#"<form method="post" action="/auth/authorize">"#,
        r#"<input type="hidden" name="request" value="sealed-request">"#,
        r#"<input type="hidden" name="route" value="/mcp/dice/">"#,
        r#"name="decision" value="approve""#,
        r#"name="decision" value="deny" formnovalidate"#,
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn none_of_several_servers_is_preselected() {
    let [dice] = consent().servers else { panic!("one server") };
    let uuid = ServerChoice { value: "/mcp/uuid/", name: "UUID", ..*dice };
    let html = Consent { servers: &[*dice, uuid], ..consent() }.page().html;
    assert!(html.contains(r#"<input type="radio" name="route" value="/mcp/dice/" required>"#));
    assert!(html.contains(r#"<input type="radio" name="route" value="/mcp/uuid/" required>"#));
    assert!(!html.contains("checked>") && !html.contains(r#"type="hidden" name="route""#));
}

#[test]
fn a_client_on_this_computer_is_shown_with_a_warning() {
    let warning = "Any program on this computer could be asking";
    assert!(consent().page().html.contains(warning));
    let remote = Consent { redirect_host: "claude.ai", loopback: false, ..consent() }.page().html;
    assert!(
        !remote.contains(warning) && remote.contains("<strong class=\"host\">claude.<wbr>ai<wbr></strong>")
    );
    let app = Consent { redirect_host: "cursor:", ..consent() }.page().html;
    assert!(app.contains("The app on this device that opens <code>cursor:</code> links"));
}

#[test]
fn a_metadata_document_does_not_verify_a_local_program() {
    let verified = Consent { client_origin: ClientOrigin::VerifiedHost("claude.ai"), ..consent() };
    let local = verified.page().html;
    assert!(local.contains("The name is published by claude.ai") && !local.contains("Verified"));
    let remote = Consent { redirect_host: "claude.ai", loopback: false, ..verified }.page().html;
    assert!(remote.contains("Verified: published by claude.ai"));
}

#[test]
fn headers_allow_form_origins_and_popups() {
    assert!(headers().contains(&("referrer-policy", "same-origin")));
    assert!(headers().iter().all(|(name, _)| *name != "cross-origin-opener-policy"));
    assert!(
        headers().contains(&("x-frame-options", "DENY"))
            && headers().contains(&("cache-control", "no-store"))
    );
}

#[test]
fn a_client_without_a_visible_name_is_called_unnamed() {
    let html = Consent { client_name: "\u{200B}\u{3164} ", ..consent() }.page().html;
    assert!(html.contains("<bdi>An unnamed program</bdi>"));
}

#[test]
fn the_redirect_page_forwards_to_the_exact_url() {
    let to = r#"cursor://anysphere.cursor-mcp/oauth/callback?a=1;url=evil&state="x' y<z>"#;
    let html = RedirectPage { to, destination: "cursor:", outcome: Outcome::Approved, is_automatic: true }
        .page()
        .html;
    let attribute = |before: &str| {
        let value = html.split_once(before).unwrap().1.split_once('"').unwrap().0;
        value
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
    };
    assert_eq!(attribute(r#"<meta http-equiv="refresh" content=""#), format!("0;url={to}"));
    assert_eq!(attribute(r#"<a class="button primary" href=""#), to);
}

#[test]
fn an_error_redirect_is_not_automatic() {
    let page = ErrorRedirect {
        host: "a.example",
        error: "invalid_scope",
        description: "No.",
        to: "https://a.example/",
    };
    let html = page.page().html;
    assert!(!html.contains("http-equiv") && html.contains("Continue to a.example</a>"));
}

fn problem(what_to_do: Guidance<'_>) -> String {
    let problem = Problem {
        title: "t",
        what_happened: "w",
        what_to_do,
        detail: "invalid_client: unknown",
        request_id: "req-1",
    };
    problem.page().html
}

#[test]
fn guidance_names_the_steps_of_each_client() {
    let html = problem(Guidance::RegisterAgain);
    for step in [
        "/mcp",
        "Clear authentication",
        "Authentication: Remove Dynamic Authentication Providers",
        "rm -rf ~/.mcp-auth",
        "Cursor",
        "ChatGPT",
        "req-1",
        "invalid_client: unknown",
    ] {
        assert!(html.contains(step), "{step}");
    }
    let html = problem(Guidance::StartAgain);
    for step in
        ["/mcp", "<b>Authenticate</b>", "MCP: List Servers", "Cursor", "mcp-remote", "ChatGPT", "req-1"]
    {
        assert!(html.contains(step), "{step}");
    }
}

#[test]
fn a_failure_is_shown_on_the_page_itself() {
    let outcome = Outcome::Failed { why: "Okta refused: not assigned. Ask there.", request_id: "req-1" };
    let html =
        RedirectPage { to: "cursor://cb", destination: "cursor:", outcome, is_automatic: true }.page().html;
    assert!(html.contains("Okta refused: not assigned. Ask there.") && html.contains("req-1"), "{html}");
    let html = RedirectPage { to: "x:", destination: "x:", outcome: Outcome::Denied, is_automatic: true }
        .page()
        .html;
    assert!(!html.contains("Request id"), "a person who denied knows why");
}

#[test]
fn the_content_security_policy_allows_only_the_stylesheet() {
    let html = consent().page().html;
    let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(style));
    assert_eq!(
        content_security_policy(),
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    );
    assert!(!style.contains(['<', '\r']), "a browser would hash another text");
    assert!(headers().contains(&("content-security-policy", content_security_policy())));
}
