use super::*;

const HOSTILE: &str = "\"><script>alert(1)</script>' onload=x";

fn hostile_pages() -> Vec<String> {
    let scopes = [HOSTILE.to_owned()];
    let server = || ServerChoice { value: HOSTILE, name: HOSTILE, description: HOSTILE, resource: HOSTILE, scopes: &scopes };
    let consent_of = |servers: &[ServerChoice<'_>]| {
        consent(&Consent {
            client_name: HOSTILE,
            client_origin: ClientOrigin::SelfRegistered,
            redirect_host: HOSTILE,
            local: true,
            servers,
            action: "/auth/authorize",
            request: HOSTILE,
            problem: Some(HOSTILE),
        })
    };
    let leave = |outcome| leaving(&Leaving { to: HOSTILE, destination: HOSTILE, outcome });
    let problem_of = |what_to_do| {
        problem(&Problem { title: HOSTILE, what_happened: HOSTILE, what_to_do, request_id: HOSTILE })
    };
    let card = ServerCard { id: HOSTILE, name: HOSTILE, description: HOSTILE, url: HOSTILE };
    let pages = [
        consent_of(&[server()]),
        consent_of(&[server(), server()]),
        leave(Outcome::Approved),
        leave(Outcome::Denied),
        leave(Outcome::ToSignIn),
        problem_of(Guidance::RegisterAgain),
        problem_of(Guidance::Text(HOSTILE)),
        error_redirect(&ErrorRedirect { host: HOSTILE, error: HOSTILE, description: HOSTILE, to: HOSTILE }),
        landing(&Landing { base_url: HOSTILE, environment: HOSTILE, servers: &[card] }),
    ];
    pages.into_iter().map(|page| page.html).collect()
}

#[test]
fn nothing_that_a_stranger_wrote_becomes_markup() {
    for page in hostile_pages() {
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("' onload") && !page.contains("\"> "), "{page}");
    }
}

#[test]
fn the_policy_allows_the_one_stylesheet_that_every_page_has() {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    assert!(headers()[1].1.contains(&style));
    for page in hostile_pages() {
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
    }
}

#[test]
fn a_page_leads_on_without_a_script() {
    let to = "cursor://anysphere.cursor-mcp/oauth/callback?code=a&state=b;c";
    let page = leaving(&Leaving { to, destination: "cursor", outcome: Outcome::Approved }).html;
    let escaped = to.replace('&', "&#38;");
    assert!(page.contains(&format!(r#"<meta http-equiv="refresh" content="0;url={escaped}">"#)), "{page}");
    assert!(page.contains(&format!(r#"href="{escaped}""#)));
}
