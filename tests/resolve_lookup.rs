//! Name lookup: answers, failures, lookups joined.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use asynctcp::io::setup::getaddrinfo::look_up;
use asynctcp::io::setup::resolve::lookup;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn localhost_is_a_loopback_address_with_port_0() {
    let found = runtime().block_on(lookup("localhost", None)).unwrap();
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 0)
    );
}

#[test]
fn the_family_asked_for_is_the_family_found() {
    let found = runtime()
        .block_on(lookup("localhost", Some(libc::AF_INET)))
        .unwrap();
    assert!(!found.is_empty() && found.iter().all(|address| address.is_ipv4()));
}

#[test]
fn each_address_is_found_once() {
    let mut found = runtime().block_on(lookup("localhost", None)).unwrap();
    let all = found.len();
    found.dedup();
    assert_eq!(found.len(), all);
}

#[test]
fn an_unknown_name_has_the_resolvers_code_and_the_name() {
    let failure = runtime()
        .block_on(lookup("no-such-host.invalid", None))
        .unwrap_err();
    assert!(
        [libc::EAI_NONAME, libc::EAI_AGAIN, libc::EAI_NODATA].contains(&failure.code),
        "{failure:?}"
    );
    assert_eq!(failure.host, "no-such-host.invalid");
    assert!(
        !failure.message.is_empty() && !failure.message.starts_with("failed to lookup"),
        "{failure:?}"
    );
}

#[test]
fn a_name_that_cannot_be_asked_for_is_a_failure_and_no_panic() {
    for host in ["", "a\0b", &"x".repeat(300)] {
        let failure = look_up(host, None).unwrap_err();
        assert_eq!(failure.host, host);
    }
}

#[test]
fn an_idle_thread_takes_the_next_question_at_once() {
    for at in 1..20 {
        let begun = Instant::now();
        let host = format!("127.0.1.{at}");
        runtime().block_on(lookup(&host, None)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody was woken");
    }
}

/// More callers than threads, each question asked twice. Literals are answered without a name server.
#[test]
fn a_hundred_lookups_at_once_are_all_answered() {
    let answers = runtime().block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for at in 0..100 {
            let host = if at % 4 < 2 {
                format!("127.0.0.{}", 1 + at / 4)
            } else {
                format!("::{}", 1 + at / 4)
            };
            all.spawn(async move { (at, lookup(&host, Some(libc::AF_INET)).await) });
        }
        tokio::time::timeout(Duration::from_secs(20), all.join_all())
            .await
            .unwrap()
    });
    assert_eq!(answers.len(), 100);
    for (at, answer) in answers {
        let found = answer.map(|found| found[0].to_string()).ok();
        // An IPv6 literal is no IPv4 address.
        assert_eq!(
            found,
            (at % 4 < 2).then(|| format!("127.0.0.{}:0", 1 + at / 4))
        );
    }
}
