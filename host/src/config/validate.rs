//! What serde cannot check: values of the right type that are not accepted.

use std::collections::BTreeMap;

use http::HeaderName;

use super::{
    AdminAddress, AdminConfig, AppConfig, Config, DatabaseConfig, Duration, Locator, MAX_OUTBOX_BATCH, Problems, Size,
    TracesConfig, api, check_auth, check_listeners, conceal,
};

/// The schemes of databases that the host can open.
const DATABASE_SCHEMES: [&str; 3] = ["mysql://", "mariadb://", "sqlite:"];

/// A shorter span is a mistake: it would end what it bounds before it began.
const MIN_SPAN: std::time::Duration = std::time::Duration::from_millis(10);

/// Longer than any version lives.
pub(super) const MAX_SPAN: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// The test page shows them all in one row of buttons.
const MAX_SAMPLES: usize = 32;

/// The test page loads all of them with each update.
const MAX_SAMPLE_BYTES: usize = 4 << 10;

/// Wasm's own limit of a 32-bit memory.
const MAX_MEMORY: usize = 4 << 30;

/// The least `memory_budget`: less than that would be refused to single connections.
const LEAST_MEMORY: usize = 16 << 20;

/// The largest `queued_spans`: some hundred MiB.
const MAX_SPANS: usize = 100_000;

/// The largest `message_bytes`: a module reads a whole message at once, and the packed form describes less than 2 GiB.
const MAX_MESSAGE: usize = 1 << 30;

/// The longest name of a topic in bytes.
const MAX_TOPIC: usize = 256;

/// A name of letters, digits, dashes and dots, or an address of IPv6 without brackets.
fn is_host_name(host: &str) -> bool {
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name || host.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Add every problem of `config` to `problems`.
pub(super) fn validate(config: &Config, locator: &Locator, problems: &mut Problems) {
    let mut report = Report { locator, problems };
    if config.apps.is_empty() && report.problems.0.is_empty() {
        report.add("apps", "the config has no app; add `[apps.NAME]` with `path` and `module`");
    }
    if let Some(admin) = &config.admin {
        admin_config(&mut report, admin);
    }
    if let Some(api) = &config.api {
        api::validate(&mut report, config, api);
    }
    if let Some(traces) = &config.traces {
        traces_config(&mut report, traces);
    }
    if let Some(cluster) = &config.cluster {
        super::cluster::validate(&mut report, cluster);
    }
    check_listeners::check(&mut report, config);
    for host in config.hosts.iter().flatten() {
        if !is_host_name(host) {
            report.add(
                "hosts",
                format!("`{host}` is neither a name nor an address; it has no scheme, no port and no path"),
            );
        }
    }
    if config.databases.keys().any(|name| !conceal::is_plain(name)) {
        report.add("databases", "a database has a name of letters, digits, `-` and `_`, as in `[databases.main]`");
    }
    for (name, database) in &config.databases {
        database_config(&mut report, &format!("databases.{name}"), database);
    }
    for (name, app) in &config.apps {
        app_config(&mut report, &format!("apps.{name}"), app);
        fits(&mut report, name, app, config.limits.memory_budget);
        grants(&mut report, name, app, &config.databases);
    }
    parts(&mut report, config);
    paths(&mut report, &config.apps);
    instances(&mut report, config);
    at_least_one(&mut report, "log.buffered_lines", config.log.buffered_lines);
    at_least_one(&mut report, "log.lines_per_second", config.log.lines_per_second);
    at_least_one(&mut report, "limits.max_connections", config.limits.max_connections);
    at_least_one(&mut report, "limits.connections_per_address", config.limits.connections_per_address);
    if config.limits.memory_budget.bytes() < LEAST_MEMORY {
        report.add("limits.memory_budget", "must be at least 16MiB");
    }
    // hyper refuses to work with less.
    if config.limits.request_head_bytes.bytes() < 8192 {
        report.add("limits.request_head_bytes", "must be at least 8KiB");
    }
    if config.cache.directory.as_ref().is_some_and(|directory| directory.as_os_str().is_empty()) {
        report.add("cache.directory", "is empty; name a folder, or leave the key out");
    }
}

/// Add every problem of the table `[admin]` to `problems`.
pub(super) fn admin(config: &AdminConfig, locator: &Locator, problems: &mut Problems) {
    admin_config(&mut Report { locator, problems }, config);
}

/// Collects problems with their places.
pub(super) struct Report<'a> {
    locator: &'a Locator,
    problems: &'a mut Problems,
}

impl Report<'_> {
    /// The value of a key is wrong.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        let problem = self.locator.problem(key, message);
        // A key that was refused while the file was read is not missing.
        if !self.problems.0.iter().any(|known| known.key == problem.key) {
            self.problems.0.push(problem);
        }
    }
}

fn traces_config(report: &mut Report<'_>, traces: &TracesConfig) {
    let uri: Option<http::Uri> = traces.endpoint.parse().ok();
    let is_usable = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !is_usable {
        report.add(
            "traces.endpoint",
            "is not an address of HTTP; write it as \"http://127.0.0.1:4318/v1/traces\", with a path",
        );
    } else if traces.endpoint.contains('@') {
        report
            .add("traces.endpoint", "has a user or a password, which belong into `traces.headers`, as `authorization`");
    }
    for (name, value) in &traces.headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() || http::HeaderValue::from_str(&value.0).is_err() {
            report.add(&format!("traces.headers.{name}"), "is not a header field: the name or the value is malformed");
        }
    }
    at_least_one(report, "traces.queued_spans", traces.queued_spans);
    if traces.queued_spans > MAX_SPANS {
        report.add("traces.queued_spans", format!("must be at most {MAX_SPANS}: each needs up to 4 KiB of memory"));
    }
    long_enough(report, "traces.timeout", traces.timeout);
}

fn admin_config(report: &mut Report<'_>, admin: &AdminConfig) {
    if let AdminAddress::Tcp(address) = admin.listen
        && !address.ip().is_loopback()
    {
        report.add(
            "admin.listen",
            format!(
                "`{address}` can be reached from other machines, and anyone with the token could replace the code that \
                 runs here; listen on 127.0.0.1 or a `unix:` socket, and connect from another machine with \
                 `ssh -L {port}:127.0.0.1:{port} HOST`",
                port = address.port()
            ),
        );
    }
    if admin.token_file.as_os_str().is_empty() {
        report.add("admin.token_file", "missing; name a file, such as `token_file = \"hassock.token\"`");
    }
    at_least_one(report, "admin.max_connections", admin.max_connections);
    at_least_one(report, "admin.module_bytes", admin.module_bytes.bytes());
    at_least_one(report, "admin.record_bytes", admin.record_bytes.bytes());
    at_least_one(report, "admin.tail_bytes", admin.tail_bytes.bytes());
    long_enough(report, "admin.request_timeout", admin.request_timeout);
    long_enough(report, "admin.upload_timeout", admin.upload_timeout);
}

fn database_config(report: &mut Report<'_>, key: &str, database: &DatabaseConfig) {
    let url = database.url.expose();
    let url_key = format!("{key}.url");
    if url.is_empty() {
        report.add(
            &url_key,
            "missing; give `url = \"sqlite://file.db\"` or `\"mysql://user:${PASSWORD}@host/database\"`",
        );
    } else if !DATABASE_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        report.add(&url_key, format!("must begin with one of {}", quoted(DATABASE_SCHEMES)));
    }
    at_least_one(report, &format!("{key}.max_connections"), database.max_connections as usize);
    at_least_one(report, &format!("{key}.max_rows"), database.max_rows);
    if let Some(outbox) = &database.outbox {
        long_enough(report, &format!("{key}.outbox.poll"), outbox.poll);
        if !(1..=MAX_OUTBOX_BATCH).contains(&outbox.batch) {
            report.add(&format!("{key}.outbox.batch"), format!("must be 1 to {}", MAX_OUTBOX_BATCH));
        }
    }
}

fn is_path(path: &str) -> bool {
    let exact = path.strip_suffix("/*").unwrap_or(path);
    path.starts_with('/') && !exact.contains(['?', '#', '*', ' '])
}

fn app_config(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    let path_key = format!("{key}.path");
    if app.path.is_empty() {
        report.add(&path_key, "missing; give the path of the socket, such as `path = \"/chat\"`");
    } else if let Some(path) = app.path.iter().find(|path| !is_path(path)) {
        report.add(
            &path_key,
            format!("`{path}` is not a path; it begins with `/`, has no `?`, `#` or space, and may end in `/*`"),
        );
    }
    if app.module.as_os_str().is_empty() {
        report.add(&format!("{key}.module"), "missing; give the component's file, such as `module = \"chat.wasm\"`");
    }
    if let Some(code) = app.error_close_code
        && code != 1011
        && !(3000..=4999).contains(&code)
    {
        report.add(&format!("{key}.error_close_code"), format!("{code} is not 1011 or 3000 to 4999"));
    }
    at_least_one(report, &format!("{key}.rollback.min_calls"), app.rollback.min_calls as usize);
    for (name, span) in [("pin_for", app.pin_for), ("rollback.watch_for", app.rollback.watch_for)] {
        // A sum with the time of now must not overflow.
        if span.get() > MAX_SPAN {
            report.add(&format!("{key}.{name}"), "must be at most 365days");
        }
    }
    if app.rollback.window.get() < std::time::Duration::from_millis(100) {
        report.add(&format!("{key}.rollback.window"), "must be at least 100ms");
    }
    origins(report, &format!("{key}.origins"), app);
    samples(report, &format!("{key}.samples"), app);
    redacted_headers(report, &format!("{key}.record.redact_headers"), app);
    if !(1..=9).contains(&app.compression.level) {
        report.add(&format!("{key}.compression.level"), "must be 1 to 9");
    }
    topics(report, &format!("{key}.topics"), app);
    if let Some(auth) = &app.auth {
        check_auth::validate(report, &format!("{key}.auth"), auth);
    }
    app_limits(report, &format!("{key}.limits"), app);
}

fn origins(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    for origin in app.origins.iter().flatten() {
        let host = origin.split_once("://").map(|(_, host)| host);
        let well_formed = host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
        if origin != "*" && origin != "null" && !well_formed {
            report.add(key, format!("`{origin}` is not an origin; write `https://example.org`, `\"*\"` or `\"null\"`"));
        }
    }
}

fn samples(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    if app.samples.len() > MAX_SAMPLES {
        report.add(key, format!("has {} messages; at most {MAX_SAMPLES} are possible", app.samples.len()));
    }
    for (index, sample) in app.samples.iter().enumerate() {
        if sample.is_empty() || sample.len() > MAX_SAMPLE_BYTES {
            let (number, bytes) = (index + 1, sample.len());
            report.add(key, format!("message {number} has {bytes} bytes; a sample has 1 to {MAX_SAMPLE_BYTES}"));
        }
    }
}

/// A name that no field can have would redact nothing, unnoticed.
fn redacted_headers(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    for name in app.record.redact_headers.iter().filter(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
        report.add(key, format!("`{name}` is not the name of a header field"));
    }
}

fn topics(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    for (pattern, topic) in &app.topics {
        let key = format!("{key}.{pattern}");
        let exact = pattern.strip_suffix('*').unwrap_or(pattern);
        if exact.contains('*') || pattern.is_empty() || exact.len() > MAX_TOPIC {
            report.add(
                &key,
                "is neither the name of a topic, 1 to 256 bytes, nor the beginning of one with a `*` behind it",
            );
        }
        if topic.keep.get() > MAX_SPAN {
            report.add(&format!("{key}.keep"), "must be at most 365days");
        }
        if topic.history > 0 {
            long_enough(report, &format!("{key}.keep"), topic.keep);
            at_least_one(report, &format!("{key}.history_bytes"), topic.history_bytes.bytes());
        }
    }
}

fn app_limits(report: &mut Report<'_>, key: &str, app: &AppConfig) {
    let limits = &app.limits;
    let counts = [
        ("message_bytes", limits.message_bytes.bytes()),
        ("messages_per_second", limits.messages_per_second as usize),
        ("batch_messages", limits.batch_messages),
        ("outbox_bytes", limits.outbox_bytes.bytes()),
        ("instances", limits.instances as usize),
        ("instance_calls", limits.instance_calls as usize),
    ];
    for (name, value) in counts {
        at_least_one(report, &format!("{key}.{name}"), value);
    }
    if limits.message_bytes.bytes() > MAX_MESSAGE {
        report.add(&format!("{key}.message_bytes"), "must be at most 1GiB");
    }
    if !(64 << 10..=MAX_MEMORY).contains(&limits.memory.bytes()) {
        report.add(&format!("{key}.memory"), "must be 64KiB to 4GiB");
    }
    for (name, span) in [
        ("cpu_time", limits.cpu_time),
        ("call_timeout", limits.call_timeout),
        ("keepalive", limits.keepalive),
        ("write_timeout", limits.write_timeout),
        ("close_timeout", limits.close_timeout),
    ] {
        long_enough(report, &format!("{key}.{name}"), span);
    }
}

fn grants(report: &mut Report<'_>, name: &str, app: &AppConfig, databases: &BTreeMap<String, DatabaseConfig>) {
    for database in app.databases.keys().filter(|database| !databases.contains_key(*database)) {
        let known = match databases.is_empty() {
            true => format!("this config has none; add `[databases.{}]` with `url`", conceal::key(database)),
            false => format!("the config has {}", quoted(databases.keys().map(|name| conceal::key(name)))),
        };
        report.add(&format!("apps.{name}.databases.{database}"), format!("there is no such database; {known}"));
    }
}

/// Each app that is granted a database has a connection of its own to it.
fn parts(report: &mut Report<'_>, config: &Config) {
    for (name, database) in config.databases.iter().filter(|(_, database)| !database.is_in_memory()) {
        let sharers = config.sharers(name);
        if (database.max_connections as usize) < sharers {
            let message = format!("{sharers} apps are granted this database, so there must be at least {sharers}");
            report.add(&format!("databases.{name}.max_connections"), message);
        }
    }
}

fn paths(report: &mut Report<'_>, apps: &BTreeMap<String, AppConfig>) {
    let mut owners = BTreeMap::new();
    let all = apps.iter().flat_map(|(name, app)| app.path.iter().map(move |path| (name, path)));
    for (name, path) in all.filter(|(_, path)| !path.is_empty()) {
        if let Some(other) = owners.insert(path, name) {
            report.add(&format!("apps.{name}.path"), format!("`{path}` is already the path of the app `{other}`"));
        }
    }
}

fn instances(report: &mut Report<'_>, config: &Config) {
    let sum: u64 = config.apps.values().map(|app| u64::from(app.limits.instances)).sum();
    let most = u64::from(config.limits.max_instances / 2);
    if sum > most {
        report.add(
            "limits.max_instances",
            format!(
                "the apps' `limits.instances` add up to {sum}; at most {most} are allowed, half of `max_instances`"
            ),
        );
    }
}

/// One connection must not need so much that the budget of all has no room for it.
fn fits(report: &mut Report<'_>, name: &str, app: &AppConfig, budget: Size) {
    let limits = &app.limits;
    let bounds = [
        ("message_bytes", limits.message_bytes),
        ("outbox_bytes", limits.outbox_bytes),
        ("attachment_bytes", limits.attachment_bytes),
    ];
    for (key, bytes) in bounds {
        if bytes.bytes() > budget.bytes() / 2 {
            let problem =
                format!("is more than half of `limits.memory_budget` = {budget}, which all connections share");
            report.add(&format!("apps.{name}.limits.{key}"), problem);
        }
    }
}

pub(super) fn at_least_one(report: &mut Report<'_>, key: &str, value: usize) {
    if value == 0 {
        report.add(key, "must be at least 1");
    }
}

pub(super) fn long_enough(report: &mut Report<'_>, key: &str, span: Duration) {
    if span.get() < MIN_SPAN {
        report.add(key, "must be at least 10ms");
    }
}

pub(super) fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
