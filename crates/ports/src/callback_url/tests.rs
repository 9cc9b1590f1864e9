use super::*;
use InvalidCallbackUrl::{
    Address, Fragment, Host as Name, Malformed, Port, Scheme, TooLong, UserInfo,
};

fn developers() -> CallbackUrlPolicy {
    CallbackUrlPolicy {
        http_hosts: vec!["localhost".to_owned(), "receiver".to_owned()],
        allow_cidrs: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
        extra_ports: vec![],
    }
}

#[track_caller]
fn refused(policy: &CallbackUrlPolicy, cases: &[(&str, InvalidCallbackUrl)]) {
    for (url, error) in cases {
        assert_eq!(policy.parse(url), Err(*error), "{url:?}");
    }
}

#[test]
fn https_is_accepted_as_typed() {
    let policy = CallbackUrlPolicy::default();
    for url in [
        "https://Example.com:8443/a?b=c",
        "HTTPS://example.com",
        "https://example.com:443/a//b/../c?d=https://x@y:z/#".trim_end_matches('#'),
        "https://a_b.xn--e1afmkfd.example/",
        "https://localhost.example.com/",
        "https://notlocal.mylocal/",
    ] {
        assert_eq!(policy.parse(url), Ok(Some(url.to_owned())), "{url}");
    }
    assert_eq!(policy.parse(""), Ok(None));
}

#[test]
fn what_is_no_https_url_is_refused() {
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    refused(
        &CallbackUrlPolicy::default(),
        &[
            ("example.com/callback", Malformed),
            ("https://", Malformed),
            ("/x", Malformed),
            ("//example.com/", Malformed),
            ("file:///etc/passwd", Malformed),
            ("javascript:alert(1)", Malformed),
            ("unix:/run/docker.sock", Malformed),
            ("https://example.com:65536/", Malformed),
            (long.as_str(), TooLong),
            ("ftp://example.com", Scheme),
            ("gopher://example.com:443/", Scheme),
            ("http://example.com/", Scheme),
            ("http://127.0.0.1/", Scheme),
            ("http://localhost/", Scheme),
            ("https://a:b@example.com", UserInfo),
            ("https://a@example.com", UserInfo),
            ("https://@example.com/", UserInfo),
            ("https:example.com/?://x", Malformed),
            ("https:@example.com/?://x", Malformed),
            ("https://:@example.com/", UserInfo),
            ("https://example.com@127.0.0.1/", UserInfo),
            ("https://example.com/#x", Fragment),
            ("https://example.com/#", Fragment),
        ],
    );
}

#[test]
fn what_the_parser_would_read_in_another_way_than_people_do_is_refused() {
    let policy = CallbackUrlPolicy::default();
    for url in [
        "https://example.com/\u{0}",
        "https://exa\nmple.com",
        "https://exa mple.com/",
        " https://example.com/",
        "https://example.com/ ",
        "https:\\\\example.com\\",
        "https://example.com\\@127.0.0.1/",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https://////example.com",
        "https://ｅxample.com/",
        "https://пример.рф/",
    ] {
        assert_eq!(policy.parse(url), Err(Malformed), "{url:?}");
    }
}

#[test]
fn names_that_no_stranger_can_have_are_refused() {
    let policy = CallbackUrlPolicy::default();
    let long = format!("https://{}example.com/", "a.".repeat(122));
    let fits = format!("https://{}example.com/", "a.".repeat(121));
    let label = format!("https://{}.com/", "a".repeat(64));
    assert!(policy.parse(&fits).is_ok());
    refused(
        &policy,
        &[
            ("https://localhost/", Name),
            ("https://LOCALHOST:8443/", Name),
            ("https://%6c%6f%63alhost/", Name),
            ("https://localhost./", Name),
            ("https://a.localhost/", Name),
            ("https://printer.local/", Name),
            ("https://metadata.google.internal/", Name),
            ("https://router.home.arpa/", Name),
            ("https://home.arpa/", Name),
            ("https://abc.onion/", Name),
            ("https://receiver/", Name),
            ("https://com/", Name),
            ("https://example.com./", Name),
            ("https://metadata.google.internal./", Name),
            ("https://example..com/", Name),
            ("https://.example.com/", Name),
            (long.as_str(), Name),
            (label.as_str(), Name),
        ],
    );
}

#[test]
fn an_address_is_refused_however_it_is_spelled() {
    let policy = CallbackUrlPolicy::default();
    for url in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0177.0.0.01/",
        "https://127.0.0.1./",
        "https://%31%32%37.0.0.1/",
        "https://0/",
        "https://8.8.8.8/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::]:8443/",
        "https://[0:0:0:0:0:ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2606:4700::1111]/",
    ] {
        assert_eq!(policy.parse(url), Err(Address), "{url:?}");
    }
}

#[test]
fn only_the_ports_of_receivers_are_called() {
    let mut policy = CallbackUrlPolicy::default();
    refused(
        &policy,
        &[
            ("https://example.com:80/", Port),
            ("https://example.com:22/", Port),
            ("https://example.com:5432/", Port),
            ("https://example.com:0/", Port),
            ("https://example.com:9443/", Port),
        ],
    );
    policy.extra_ports = vec![9_443];
    assert!(policy.parse("https://example.com:9443/").is_ok());
    refused(&policy, &[("https://example.com:9444/", Port)]);
}

#[test]
fn a_developers_hosts_may_be_called_in_any_way() {
    let policy = developers();
    for url in [
        "http://127.0.0.1:9000/x",
        "http://2130706433:1/",
        "http://127.200.1.1/",
        "https://127.0.0.1/",
        "http://[::1]:9000/x",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://localhost:9099/",
        "https://localhost:9099/",
        "http://Receiver:80/",
    ] {
        assert!(policy.parse(url).is_ok(), "{url}");
    }
    refused(
        &policy,
        &[
            ("http://example.com/", Scheme),
            ("http://other.receiver/", Scheme),
            ("http://a.localhost/", Scheme),
            ("http://127.0.0.1.example.com/", Scheme),
            ("http://128.0.0.1/", Scheme),
            ("http://[::2]/", Scheme),
            ("ftp://localhost/", Scheme),
            ("https://10.0.0.1/", Address),
            ("https://receiver.example:9000/", Port),
            ("http://user@localhost/", UserInfo),
            ("http://localhost/#x", Fragment),
        ],
    );
}
