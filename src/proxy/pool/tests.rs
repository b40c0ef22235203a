use super::*;
use crate::proxy::UpstreamTls;
use crate::proxy::test_route::TEST_ROUTE;
use gateway_routes::Target;
use http::Method;
use std::collections::{BTreeMap, HashSet};
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECOND: Duration = Duration::from_secs(1);

/// Pool with a server that sends a response with these fields to each request.
async fn pool(fields: &'static str) -> (Pool, &'static Route) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(1..) = socket.read(&mut [0; 1024]).await {
                    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
                    socket.write_all(response.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let target = Target { host: "127.0.0.1", port, authority: "127.0.0.1", ..TEST_ROUTE.target };
    let route = Route { target, connect_timeout: 10 * SECOND, ..TEST_ROUTE };
    (Pool::new(ProxyConfig::new(UpstreamTls::new(&BTreeMap::new()))), Box::leak(Box::new(route)))
}

/// Makes a request on a new connection.
async fn requested(pool: &Pool, route: &'static Route) -> PooledConnection {
    let mut pooled = pool.connect(route).await.unwrap();
    request(&mut pooled).await;
    pooled
}

async fn request(pooled: &mut PooledConnection) {
    pooled.connection.begin(b"GET / HTTP/1.1\r\n\r\n".to_vec(), None);
    poll_fn(|context| {
        let (connection, mut buffers) = pooled.parts();
        connection.poll_send(&mut None, context, &mut buffers).unwrap();
        connection.poll_response_head(&Method::GET, context, &mut buffers)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_reused_until_a_second_before_the_announced_timeout() {
    for (fields, seconds) in [
        ("", 30),
        ("Keep-Alive: timeout=5\r\n", 4),
        ("Connection: keep-alive\r\nkeep-alive: max=100, TIMEOUT=7\r\nKeep-Alive: timeout=6\r\n", 5),
        ("Keep-Alive: timeout=2\r\n", 1),
        ("Keep-Alive: timeout=600\r\n", 30),
        ("Keep-Alive: timeout=18446744073709551615\r\n", 30),
        ("Keep-Alive: timeout=\"5\"\r\n", 30),
    ] {
        let (pool, route) = pool(fields).await;
        let start = Instant::now();
        requested(&pool, route).await.release_at(start);
        let end = start + seconds * SECOND;
        let before = end.checked_sub(Duration::from_millis(1)).unwrap();
        pool.reap_at(before);
        let pooled = pool.acquire_at(route, before).expect(fields);
        pooled.release_at(start);
        assert!(pool.acquire_at(route, end).is_none(), "{fields:?}");
        requested(&pool, route).await.release_at(start);
        pool.reap_at(end);
        assert!(pool.0.idle.borrow().is_empty(), "{fields:?}");
    }
}

#[tokio::test]
async fn a_connection_that_its_server_is_about_to_close_is_not_pooled() {
    for fields in [
        "timeout=0",
        "timeout=1",
        "max=0",
        "max=1",
        "timeout=0, max=100",
        "timeout=100, max=0",
        "x, timeout=1",
    ] {
        let (pool, route) = pool(format!("Keep-Alive: {fields}\r\n").leak()).await;
        requested(&pool, route).await.release();
        assert!(pool.acquire(route).is_none(), "{fields}");
    }
}

#[tokio::test]
async fn a_connection_carries_no_more_requests_than_its_server_accepts() {
    let (pool, route) = pool("Keep-Alive: timeout=100, max=3\r\n").await;
    requested(&pool, route).await.release();
    for number in 2..=3 {
        let mut pooled = pool.acquire(route).unwrap_or_else(|| panic!("request {number}"));
        request(&mut pooled).await;
        pooled.release();
    }
    assert!(pool.acquire(route).is_none());
}

#[tokio::test]
async fn a_connection_takes_no_request_after_its_maximum_age_however_often_it_is_used() {
    let (pool, route) = pool("").await;
    let mut pooled = requested(&pool, route).await;
    let opened_at = pooled.acquired_at;
    for second in (0..600).step_by(20) {
        let now = opened_at + second * SECOND;
        pooled.release_at(now);
        pool.reap_at(now);
        pooled = pool.acquire_at(route, now).expect("it is young");
        request(&mut pooled).await;
    }
    // A request that takes longer is not disturbed; then the connection is closed.
    request(&mut pooled).await;
    pooled.release_at(opened_at + 600 * SECOND);
    assert!(pool.0.idle.borrow().values().all(VecDeque::is_empty));
}

#[tokio::test]
async fn an_idle_connection_of_its_maximum_age_is_neither_used_nor_kept() {
    let (pool, route) = pool("").await;
    let pooled = requested(&pool, route).await;
    let end = pooled.max_age_at;
    let before = end.checked_sub(SECOND).unwrap();
    pooled.release_at(before);
    pool.acquire_at(route, before).expect("it is young").release_at(before);
    assert!(pool.acquire_at(route, end).is_none());
    let mut pooled = requested(&pool, route).await;
    pooled.max_age_at = end;
    pooled.release_at(before);
    pool.reap_at(end);
    assert!(pool.0.idle.borrow().is_empty());
}

#[tokio::test]
async fn maximum_ages_differ_by_at_most_a_quarter() {
    let (pool, _) = pool("").await;
    let ages: Vec<Duration> = (0..2 * AGES).map(|_| pool.next_max_age()).collect();
    assert_eq!((ages[0], ages[16]), (600 * SECOND, 600 * SECOND));
    let different: HashSet<_> = ages.iter().collect();
    assert_eq!(different.len(), 16);
    assert!(ages.iter().all(|age| (450 * SECOND..=600 * SECOND).contains(age)), "{ages:?}");
}
