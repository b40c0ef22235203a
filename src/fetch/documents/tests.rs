use super::*;
use crate::base::clock::Timestamp;
use crate::fetch::FetchPolicy;
use rustls::RootCertStore;
use std::future::ready;
use std::net::Ipv4Addr;

fn documents() -> Documents<usize> {
    // Fails only when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    let fetcher = Fetcher::new(FetchPolicy::default(), RootCertStore::empty(), None, clock.clone()).unwrap();
    Documents::new(Arc::new(fetcher), 1024, None, clock)
}

fn url(number: usize) -> Url {
    Url::parse(&format!("https://{number}.example.com/id")).unwrap()
}

async fn fetch(documents: &Documents<usize>, number: usize, fetched: Fetched<usize, FetchError>) {
    let document = documents.cached_or_new(&url(number));
    let _ = document.refetch(|| Ok(ready(fetched))).await;
    documents.store(&url(number), document);
}

async fn keep(documents: &Documents<usize>, number: usize) {
    fetch(documents, number, Fetched::Document { value: number, lifetime: Duration::from_mins(1) }).await;
}

#[tokio::test]
async fn documents_of_clients_with_a_login_are_evicted_last() {
    let documents = documents();
    keep(&documents, 0).await;
    documents.trust(&url(0));
    for stranger in 1..3 * MAX_OTHER_DOCUMENTS {
        keep(&documents, stranger).await;
    }
    assert_eq!(documents.last_good(&url(0)).as_deref(), Some(&0));
    keep(&documents, 0).await;
    for stranger in 1..2 * MAX_OTHER_DOCUMENTS {
        keep(&documents, stranger).await;
    }
    assert!(documents.last_good(&url(0)).is_some(), "the mark survives another fetch");
    assert_eq!((documents.trusted.len(), documents.others.len()), (1, MAX_OTHER_DOCUMENTS));
    for client in 1..3 * MAX_TRUSTED_DOCUMENTS {
        keep(&documents, client).await;
        documents.trust(&url(client));
    }
    assert_eq!(documents.trusted.len(), MAX_TRUSTED_DOCUMENTS);
}

#[tokio::test]
async fn failed_fetches_evict_nothing_and_leave_nothing() {
    let documents = documents();
    keep(&documents, 0).await;
    for stranger in 1..3 * MAX_OTHER_DOCUMENTS {
        fetch(&documents, stranger, Fetched::Failed(FetchError::NotFound)).await;
    }
    assert!(documents.fresh(&url(0)).is_some());
    assert_eq!(documents.others.len(), 1);
    documents.cached_or_new(&url(0));
    assert_eq!(documents.in_use.lock().len(), 1);
    for trusted in [false, true] {
        if trusted {
            keep(&documents, 0).await;
            documents.trust(&url(0));
        }
        fetch(&documents, 0, Fetched::Gone(FetchError::NotFound)).await;
        assert!(documents.trusted.is_empty() && documents.others.is_empty());
    }
}

#[tokio::test]
async fn a_limit_of_one_subscriber_is_not_the_error_of_another() {
    let documents = documents();
    let limited = |seconds| FetchError::RateLimited { retry_after: Duration::from_secs(seconds) };
    let start = |delay: Duration, error: FetchError| FetchStart {
        subscriber: Subnets::of(Ipv4Addr::LOCALHOST.into()),
        admission: async move {
            tokio::time::sleep(delay).await;
            Err(error)
        },
        parse: |document: &[u8]| Ok(document.len()),
    };
    let (url, delay) = (url(0), Duration::from_millis(20));
    let (first, second) = tokio::join!(
        documents.fetch(&url, start(delay, limited(1))),
        documents.fetch(&url, start(Duration::ZERO, limited(2)))
    );
    assert_eq!((first.unwrap_err(), second.unwrap_err()), (limited(1), limited(2)));
    assert_eq!(documents.last_error(&url), None, "a fetch that was not made is not remembered");
}
