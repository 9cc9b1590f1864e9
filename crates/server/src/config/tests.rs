use bursar_ports::CallbackUrlPolicy;
use secrecy::ExposeSecret;

use super::*;
use crate::demo::{Secrets, env_file};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const SECRET: &str = "postgres://bursar:hunter2@db.internal/bursar";

fn required() -> BTreeMap<String, String> {
    environment(&[
        ("BURSAR_DATABASE_URL", SECRET),
        ("BURSAR_MASTER_KEY", &format!("k1:{KEY}")),
        ("BURSAR_CODE_KEY", KEY),
    ])
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |text: &str| text.to_owned();
    pairs
        .iter()
        .map(|(name, value)| (own(name), own(value)))
        .collect()
}

fn file(text: &str) -> ConfigFile {
    ConfigFile::parse(Path::new("bursar.toml"), text).unwrap()
}

pub(super) fn load_file(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&Sources {
        file: Some(file(text)),
        ..Sources::default()
    })
}

pub(super) fn with(pairs: &[(&str, &str)], text: &str) -> Result<Config, ConfigErrors> {
    let mut variables = required();
    variables.extend(environment(pairs));
    Config::load(&Sources {
        environment: variables,
        file: Some(file(text)),
        ..Sources::default()
    })
}

pub(super) fn complaints(pairs: &[(&str, &str)], text: &str) -> Vec<String> {
    let errors = with(pairs, text).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_required_is_enough() {
    let config = with(&[], "").unwrap();
    assert_eq!(config.profile, Profile::Production);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.root_asset.as_str(), "usd");
    assert_eq!(config.database.url.expose_secret(), SECRET);
    assert_eq!(config.database.batch_items, None);
    assert!(config.database.migrate);
    assert_eq!(config.master_keys.len(), 1);
    assert_eq!(config.http.workers, None);
    assert!(config.limits.redis_url.is_none());
    assert_eq!(config.limits.replicas, 1);
    assert_eq!(config.limits.internal_per_minute, 600);
    assert_eq!(config.limits.failed_credentials_per_minute, 600);
    assert_eq!(config.callback.urls, CallbackUrlPolicy::default());
    assert_eq!(config.callback.own_addresses, []);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.shutdown_drain, Duration::from_secs(5));
    assert_eq!(config.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_database_may_have_several_hosts_each_of_them_well_formed() {
    let both = "postgres://bursar:hunter2@db1:5432,db2:6432/bursar";
    let config = with(&[("BURSAR_DATABASE_URL", both)], "").unwrap();
    assert_eq!(config.database.url.expose_secret(), both);
    let wrong = both.replace("6432", "64320000");
    let complaints = complaints(&[("BURSAR_DATABASE_URL", &wrong)], "");
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains("is not of the form"),
        "{complaints:?}"
    );
}

#[test]
fn what_is_missing_is_named_with_the_ways_to_give_it() {
    let errors = Config::load(&Sources::default()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "the configuration cannot be used:
  database.url: is required: set BURSAR_DATABASE_URL or put database.url in the file (given nowhere)
  master_key: is required: set BURSAR_MASTER_KEY or put master_key in the file (given nowhere)
  code_key: is required: set BURSAR_CODE_KEY or put code_key in the file (given nowhere)"
    );
}

#[test]
fn the_environment_wins_over_the_file_and_a_command_over_both() {
    let text = "listen = \"127.0.0.1:1\"\n[database]\nbatchers = 3\npool_size = 5\n";
    let config = with(&[("BURSAR_LISTEN", "127.0.0.1:2")], text).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.database.batchers, 3);
    assert_eq!(config.database.pool_size, 5);

    let config = Config::load(&Sources {
        fixed: BTreeMap::from([("listen", "127.0.0.1:3".to_owned())]),
        environment: required(),
        file: Some(file(text)),
    });
    assert_eq!(config.unwrap().listen.port(), 3);
}

#[test]
fn an_empty_variable_counts_as_not_given() {
    let config = with(&[("BURSAR_LISTEN", "")], "").unwrap();
    assert_eq!(config.listen.port(), 8080);
}

#[test]
fn everything_wrong_is_told_at_once_with_where_it_came_from() {
    let text = "\
listen = 8080
lisen = \"127.0.0.1:8080\"

[database]
batchers = 9
pool_size = [1, 2]
queue_items = 1.5
[log]
format = \"xml\"
";
    let variables = [
        ("BURSAR_DATABASE_BATCH_ITEMS", "0"),
        ("BURSAR_SHUTDOWN_GRACE_SECONDS", "soon"),
    ];
    assert_eq!(
        complaints(&variables, text),
        [
            "listen: \"8080\" is not an IP address with a port, such as 127.0.0.1:8080 (from bursar.toml, line 1)",
            "database.pool_size: takes one value (from bursar.toml, line 6)",
            "database.batchers: \"9\" is not a whole number from 1 to 8 (from bursar.toml, line 5)",
            "database.batch_items: \"0\" is not a whole number from 1 to 1024 (from the environment, BURSAR_DATABASE_BATCH_ITEMS)",
            "database.queue_items: must be changes, 1 to 1,000,000 (from bursar.toml, line 7)",
            "log.format: \"xml\" is neither human nor json (from bursar.toml, line 9)",
            "shutdown.grace_seconds: \"soon\" is not a whole number from 0 to 600 (from the environment, BURSAR_SHUTDOWN_GRACE_SECONDS)",
            "lisen: there is no such setting (from bursar.toml, line 2)",
        ]
    );
}

#[test]
fn a_secret_is_never_repeated() {
    let variables = [
        ("BURSAR_DATABASE_URL", "mysql://bursar:hunter2@db/bursar"),
        ("BURSAR_MASTER_KEY", "hunter2"),
        ("BURSAR_CODE_KEY", "hunter2"),
    ];
    let complaints = complaints(&variables, "");
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(!complaints.concat().contains("hunter2"), "{complaints:?}");
    let config = with(&[], "").unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("51"),
        "{shown}"
    );

    let broken = ConfigFile::parse(Path::new("x"), "code_key = \"hunter2").unwrap_err();
    assert!(!broken.0.contains("hunter2") && broken.1 == 1, "{broken:?}");
}

#[test]
fn keys_keep_their_order_and_need_names_of_their_own() {
    let two = format!("new:{KEY}, old:{}", KEY.to_ascii_lowercase());
    let config = with(&[("BURSAR_MASTER_KEY", &two)], "").unwrap();
    let names: Vec<&str> = config.master_keys.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["new", "old"]);
    assert_eq!(config.master_keys[0].1, config.master_keys[1].1);

    for (value, wrong) in [
        (format!("a:{KEY},a:{KEY}"), "has two keys with the name a"),
        (format!(":{KEY}"), "has a key whose name is not"),
        (KEY.to_owned(), "is not of the form name:key"),
        ("a:00".to_owned(), "is not a key of 64 hex digits"),
        (",".to_owned(), "takes one value"),
    ] {
        let complaints = complaints(&[("BURSAR_MASTER_KEY", &value)], "");
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains(wrong), "{complaints:?}");
    }
}

#[test]
fn production_refuses_what_lets_callbacks_into_private_networks() {
    let lists = [
        ("BURSAR_CALLBACK_HTTP_HOSTS", "localhost"),
        ("BURSAR_CALLBACK_ALLOW_CIDRS", "10.0.0.0/8"),
    ];
    assert_eq!(
        complaints(&lists, ""),
        [
            "callback.http_hosts: is for development only: leave it out, or set profile to development (from the environment, BURSAR_CALLBACK_HTTP_HOSTS)",
            "callback.allow_cidrs: is for development only: leave it out, or set profile to development (from the environment, BURSAR_CALLBACK_ALLOW_CIDRS)",
        ]
    );
    assert!(with(&[], "[callback]\nhttp_hosts = []\nallow_cidrs = []\n").is_ok());
}

#[test]
fn development_lets_callbacks_come_home_and_logs_for_people() {
    let config = with(&[("BURSAR_PROFILE", "development")], "").unwrap();
    let urls = &config.callback.urls;
    assert_eq!(urls.http_hosts, ["localhost"]);
    let shown: Vec<String> = urls.allow_cidrs.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.0/8", "::1/128"]);
    for url in [
        "http://127.0.0.1:9099/",
        "http://localhost:1/",
        "http://[::1]:65535/",
    ] {
        assert!(urls.parse(url).is_ok(), "{url}");
    }
    assert_eq!(config.log.format, LogFormat::Human);

    let text = "profile = \"development\"\n[callback]\nhttp_hosts = [\"Receiver.Test\"]\n";
    let config = with(&[], text).unwrap();
    assert_eq!(config.callback.urls.http_hosts, ["receiver.test"]);
    for (host, wrong) in [
        ("http://a", "is not a host name (without scheme or port)"),
        ("127.1", "is an address, not a name"),
        ("::1", "is an address, not a name"),
        ("[::1]", "is an address, not a name"),
    ] {
        let complaints = complaints(&[], &text.replace("Receiver.Test", host));
        assert!(complaints[0].contains(wrong), "{complaints:?}");
    }
}

#[test]
fn callbacks_keep_to_the_ports_of_receivers_and_away_from_our_own_addresses() {
    let text = "[callback]\nextra_ports = [9443, 10443]\nown_addresses = [\"203.0.113.0/28\"]\n";
    let config = with(&[], &text.replace("9443, 10443", "\"9443\", \"10443\"")).unwrap();
    assert_eq!(config.callback.urls.extra_ports, [9_443, 10_443]);
    assert_eq!(
        config.callback.own_addresses[0].to_string(),
        "203.0.113.0/28"
    );
    for wrong in ["0", "65536", "https"] {
        let complaints = complaints(&[("BURSAR_CALLBACK_EXTRA_PORTS", wrong)], "");
        assert!(
            complaints[0].contains("is not a whole number from 1 to 65535"),
            "{complaints:?}"
        );
    }
}

#[test]
fn proxies_are_addresses_and_ranges() {
    let proxies = [("BURSAR_HTTP_TRUSTED_PROXIES", "10.0.0.0/29, 10.0.1.5, ::1")];
    let config = with(&proxies, "").unwrap();
    let shown: Vec<String> = config
        .http
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["10.0.0.0/29", "10.0.1.5/32", "::1/128"]);
    for wrong in ["proxy", "10.0.0.0/33", "10.0.0.5:8080", "10.0.0.1-10.0.0.5"] {
        let text = format!("[http]\ntrusted_proxies = [\"10.0.0.5\", \"{wrong}\"]\n");
        let told = format!(
            "http.trusted_proxies: \"{wrong}\" is neither an IP address, such as 192.0.2.7, nor a \
             CIDR range, such as 192.0.2.0/28 (from bursar.toml, line 2)"
        );
        assert_eq!(complaints(&[], &text), [told]);
    }
}

#[test]
fn a_variable_that_is_no_setting_is_only_mentioned() {
    let config = with(
        &[
            ("BURSAR_LITSEN", "x"),
            ("BURSAR_SERVICE_HOST", "10.0.0.1"),
            ("BURSAR_PAYOUTS_URL", "https://gateway.internal/"),
            ("BURSAR_OIDC_SECRET", "x"),
            ("BURSAR_ALICE_TOKEN", "bur_x"),
            ("BURSAR_CONFIG", "bursar.toml"),
        ],
        "",
    )
    .unwrap();
    assert_eq!(
        config.warnings,
        [
            "the environment variable BURSAR_LITSEN is no setting",
            "the environment variable BURSAR_OIDC_SECRET is no setting",
            "the environment variable BURSAR_PAYOUTS_URL is no setting",
            "the environment variable BURSAR_SERVICE_HOST is no setting",
        ]
    );
}

#[test]
fn how_long_to_wait_for_a_redis_that_is_not_there_is_only_mentioned() {
    let given = ("BURSAR_LIMITS_REDIS_TIMEOUT_MS", "300");
    let told = "limits.redis_timeout_ms (from the environment, BURSAR_LIMITS_REDIS_TIMEOUT_MS) changes \
                nothing: there is no Redis without limits.redis_url";
    assert_eq!(with(&[given], "").unwrap().warnings, [told]);
    let redis = ("BURSAR_LIMITS_REDIS_URL", "redis://127.0.0.1:6379/0");
    let both = with(&[given, redis], "").unwrap();
    assert_eq!(both.warnings, Vec::<String>::new());
    // An empty variable counts as not given.
    let empty = with(&[("BURSAR_LIMITS_REDIS_TIMEOUT_MS", "")], "").unwrap();
    assert_eq!(empty.warnings, Vec::<String>::new());
}

/// Whoever has sourced what a demo writes may start Bursar too.
#[test]
fn nothing_that_a_demo_writes_is_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:8080".parse().unwrap();
    env_file::write(folder.path(), address, SECRET, &Secrets::placeholder()).unwrap();
    let text = std::fs::read_to_string(folder.path().join(env_file::NAME)).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    assert!(pairs.len() > 20, "{text}");
    let config = Config::load(&Sources {
        environment: environment(&pairs),
        ..Sources::default()
    });
    assert_eq!(config.unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_toml_says_so() {
    let errors = Sources::collect(Some(Path::new("/nowhere/bursar.toml"))).unwrap_err();
    let shown = errors.to_string();
    assert!(shown.contains("/nowhere/bursar.toml"), "{shown}");
    assert!(shown.contains("cannot be read"), "{shown}");

    let broken = ConfigFile::parse(Path::new("x"), "a = 1\nb = \n").unwrap_err();
    assert!(broken.0.starts_with("is no TOML: "), "{broken:?}");
    assert_eq!(broken.1, 2);
}

#[test]
fn a_migration_needs_the_database_alone_and_takes_the_same_file() {
    let load = |text: &str| {
        Config::load_database(&Sources {
            file: Some(file(text)),
            ..Sources::default()
        })
    };
    let text = format!("code_key = \"hunter2\"\n[database]\nurl = \"{SECRET}\"\n");
    let (database, _) = load(&text).unwrap();
    assert_eq!(database.url.expose_secret(), SECRET);
    assert_eq!(load("").unwrap_err().0.len(), 1);
}

#[test]
fn every_setting_is_read() {
    // A key that nobody reads would be refused as unknown; the example has every key.
    for setting in setting::ALL {
        let (prefix, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        let table = if prefix.is_empty() {
            String::new()
        } else {
            format!("[{prefix}]\n")
        };
        let text = format!("{table}{name} = 2020-01-01\n");
        let complaints = complaints(&[(&setting.variable(), "")], &text);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains("must be"), "{complaints:?}");
    }
}

#[test]
fn several_replicas_need_a_redis_whose_password_is_never_shown() {
    assert_eq!(
        complaints(&[("BURSAR_LIMITS_REPLICAS", "2")], ""),
        [
            "limits.replicas: several replicas need limits.redis_url: each by itself would take a \
             signature that another has taken (from the environment, BURSAR_LIMITS_REPLICAS)"
        ]
    );
    let url = "rediss://bursar:hunter2@redis.internal:6380/1";
    let both =
        "[limits]\nreplicas = 2\nredis_url = \"rediss://bursar:hunter2@redis.internal:6380/1\"";
    let config = with(&[], both).unwrap();
    let given = config.limits.redis_url.as_ref().unwrap();
    assert_eq!(given.expose_secret(), url);
    assert!(!format!("{config:?}").contains("hunter2"));
    for wrong in ["redis.internal:6379", "http://:hunter2@x", "redis:hunter2"] {
        let said = complaints(&[("BURSAR_LIMITS_REDIS_URL", wrong)], "");
        assert_eq!(
            said,
            [
                "limits.redis_url: is not of the form redis://user:password@host:port/number (from \
                 the environment, BURSAR_LIMITS_REDIS_URL)"
            ]
        );
    }
}
