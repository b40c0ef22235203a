//! Tests of the HTTP backend.

use gateway_standins::backend::Backend;
use serde_json::Value;

fn http() -> reqwest::Client {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn the_target_is_echoed_and_recorded_as_received() {
    let backend = Backend::start(0).await.unwrap();
    let url = format!("{}/a%2fb//c;x?q=%20+%zz", backend.url());
    let request = http().post(url).header("x-twice", "1").header("x-twice", "2").body("hello");
    let echo: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["target"], "/a%2fb//c;x?q=%20+%zz");
    assert_eq!(echo["headers"]["x-twice"][1], "2");
    let last = backend.last().unwrap();
    assert_eq!((last.method.as_str(), last.text().as_str(), last.header("x-twice")), ("POST", "hello", None));
}

#[tokio::test]
async fn a_silent_stream_sends_its_head_at_once_and_events_when_released() {
    let backend = Backend::start(0).await.unwrap();
    let mut response = http().get(format!("{}/sse/silent", backend.url())).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    backend.release("one").await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: one\n\n");
    backend.finish();
    assert!(response.chunk().await.unwrap().is_none());
    assert_eq!(backend.aborted(), 0);
}

#[tokio::test]
async fn early_disconnects_are_recorded() {
    let backend = Backend::start(0).await.unwrap();
    let http = http();
    drop(http.get(format!("{}/sse/silent", backend.url())).send().await.unwrap());
    assert!(backend.wait_aborted(1).await);
    drop(http.get(format!("{}/big?bytes=1000000000000", backend.url())).send().await.unwrap());
    assert!(backend.wait_aborted(2).await);
    let pending = tokio::spawn(http.get(format!("{}/slow-head", backend.url())).send());
    assert!(backend.wait_for_request("/slow-head").await.is_some());
    pending.abort();
    assert!(backend.wait_aborted(3).await);
}

#[tokio::test]
async fn a_fully_read_response_is_not_aborted() {
    let backend = Backend::start(0).await.unwrap();
    let http = http();
    let events = http.get(format!("{}/sse?n=3&every_ms=1", backend.url())).send().await.unwrap();
    assert_eq!(events.text().await.unwrap().matches("data: event").count(), 3);
    let big = http.get(format!("{}/big?bytes=100000", backend.url())).send().await.unwrap();
    assert_eq!(big.bytes().await.unwrap().len(), 100_000);
    let slow = tokio::spawn(http.get(format!("{}/slow-head", backend.url())).send());
    backend.release_head();
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "at last");
    let upload = http.post(format!("{}/upload", backend.url())).body(vec![0; 300_000]).send().await.unwrap();
    assert_eq!(upload.json::<Value>().await.unwrap()["bytes"], 300_000);
    assert_eq!((backend.uploaded(), backend.produced(), backend.aborted()), (300_000, 100_000, 0));
}

#[tokio::test]
async fn a_scripted_response_is_sent() {
    let backend = Backend::start(0).await.unwrap();
    let get = |path: &str| http().get(format!("{}{path}", backend.url())).send();
    assert_eq!(get("/status/401").await.unwrap().headers()["www-authenticate"], "Bearer realm=\"backend\"");
    assert_eq!(get("/redirect?to=http://a.example/&status=307").await.unwrap().status(), 307);
    assert!(get("/broken").await.unwrap().text().await.is_err());
    assert_eq!(get("/headers").await.unwrap().headers().get_all("set-cookie").iter().count(), 2);
    backend.script("/mcp", 202, &[("x-a", "b")], "scripted");
    let scripted = get("/mcp").await.unwrap();
    assert_eq!((scripted.status().as_u16(), scripted.headers()["x-a"].to_str().unwrap()), (202, "b"));
    assert_eq!(scripted.text().await.unwrap(), "scripted");
}
