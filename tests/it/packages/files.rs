//! The files of `host/dist` that are not used on the machine of a test: the release workflow, the image, configs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;
use hassock::cli::Cli;
use hassock::config::{AdminAddress, Config, ListenAddress};
use hassock_tests::workspace;
use serde_json::Value;

use super::deb;

/// Programs that the workflow and the image may run: those of the runner, of Debian and of rustup.
const PROGRAMS: [&str; 14] = [
    "apt-get",
    "cd",
    "curl",
    "docker",
    "echo",
    "gh",
    "git",
    "install",
    "mv",
    "rustup",
    "sh",
    "sha256sum",
    "test",
    "tests/run",
];

const APP: &str = "\n[apps.chat]\npath = \"/chat\"\nmodule = \"chat.wasm\"\n";

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Whether it is a program of this repository.
fn is_program(file: &str) -> bool {
    let metadata = fs::metadata(workspace().join(file));
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What is wrong with commands: programs and files of the repository that do not exist.
fn unknown(commands: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    for command in commands.lines().flat_map(|line| line.split("&&")) {
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or_default();
        if !PROGRAMS.contains(&program) && !is_program(program) {
            unknown.push(program.to_owned());
        }
        let files = words.filter(|word| ["host/", "tests/"].iter().any(|folder| word.starts_with(folder)));
        unknown.extend(files.filter(|file| !workspace().join(file).exists()).map(str::to_owned));
    }
    unknown
}

/// What is wrong with a workflow.
fn mistakes(text: &str) -> Vec<String> {
    let workflow: Value = match serde_saphyr::from_str(text) {
        Ok(workflow) => workflow,
        Err(error) => return vec![error.to_string()],
    };
    let jobs = workflow["jobs"].as_object().expect("the jobs");
    let mut mistakes = Vec::new();
    for (name, job) in jobs {
        let needs = match &job["needs"] {
            Value::String(one) => vec![one.clone()],
            other => serde_json::from_value(other.clone()).unwrap_or_default(),
        };
        mistakes.extend(needs.into_iter().filter(|needed: &String| !jobs.contains_key(needed)));
        for step in job["steps"].as_array().expect("the steps") {
            match (step["run"].as_str(), step["uses"].as_str()) {
                (Some(commands), None) => mistakes.extend(unknown(commands)),
                (None, Some(action)) if action.contains('@') => {}
                _ => mistakes.push(format!("{name}: {step}")),
            }
        }
    }
    mistakes
}

#[test]
fn the_release_workflow_runs_what_exists() {
    let workflow = read("host/dist/release.yml");
    assert_eq!(mistakes(&workflow), [""; 0]);
    for (part, wrong) in [
        ("host/dist/deb packages", "host/dist/dep packages"),
        ("needs: [packages, image]", "needs: [packages, picture]"),
        ("tests/run", "tests/runs"),
        ("--file host/dist/Containerfile", "--file host/dist/Dockerfile"),
        ("run: docker push", "run: dokcer push"),
        ("actions/upload-artifact@v4", "actions/upload-artifact"),
        ("jobs:\n", "jobs:\n\t\n  - x\n"),
    ] {
        let changed = workflow.replace(part, wrong);
        assert!(changed != workflow && !mistakes(&changed).is_empty(), "{wrong}");
    }
    for command in ["deb", "static", "sbom"] {
        assert!(workflow.contains(&format!("run: host/dist/{command} packages")), "nothing runs {command}");
    }
}

/// The instructions of the image, each in one line, as name and arguments.
fn instructions(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    lines.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())).collect()
}

/// The words of a command in the form `["a", "b"]`, at the end of an instruction.
fn words(arguments: &str) -> Vec<String> {
    serde_json::from_str(&arguments[arguments.find('[').unwrap()..]).unwrap()
}

/// What the image copies, runs and starts exists, and its user is not root.
#[test]
fn the_image_is_made_of_what_exists() {
    let instructions = instructions(&read("host/dist/Containerfile"));
    let all = |name: &str| -> Vec<&str> {
        let found = instructions.iter().filter(|(found, _)| found == name);
        found.map(|(_, arguments)| arguments.as_str()).collect()
    };
    for copied in all("COPY").iter().filter(|arguments| !arguments.starts_with("--from")) {
        let file = copied.split(' ').next().unwrap();
        assert!(workspace().join(file).exists(), "{file}");
    }
    assert_eq!(all("RUN").into_iter().flat_map(unknown).collect::<Vec<_>>(), [""; 0]);
    let last = all("USER").pop().and_then(|user| user.split(':').next()).map(str::parse::<u32>);
    assert!(matches!(last, Some(Ok(1..))), "{last:?}");
    assert_eq!(all("STOPSIGNAL"), ["SIGTERM"]);
    let health = words(all("HEALTHCHECK")[0]);
    let entry = [words(all("ENTRYPOINT")[0]), words(all("CMD")[0])].concat();
    for command in [&health, &entry] {
        assert_eq!(command[0], "/usr/bin/hassock");
        Cli::try_parse_from(command).unwrap();
    }
}

/// The config of the image fits to it: the port is that which it exposes, and the folders are those that it makes.
#[test]
fn the_config_of_the_image_fits_to_it() {
    let image = read("host/dist/Containerfile");
    let config =
        Config::parse(Path::new("/etc/hassock/hassock.toml"), &(read("host/dist/container.toml") + APP)).unwrap();
    let [(_, listener)] = &config.all_listeners()[..] else { panic!("one listener") };
    let ListenAddress::Tcp(address) = listener.address else { panic!("{:?}", listener.address) };
    assert!(address.ip().is_unspecified() && image.contains(&format!("\nEXPOSE {}\n", address.port())));
    let admin = config.admin.unwrap();
    let AdminAddress::Unix(socket) = &admin.listen else { panic!("{:?}", admin.listen) };
    let folders = [socket.parent(), admin.token_file.parent(), config.cache.directory.as_deref()];
    for folder in folders.map(|folder| folder.unwrap().display().to_string()) {
        assert!(image.contains(&format!("/folders{folder}")), "the image has no folder {folder}");
    }
}

/// The config of the Debian package waits for an app and listens on Unix sockets only. The example in it is one that works.
#[test]
fn the_config_of_the_package_needs_only_an_app() {
    let text = read("host/dist/hassock.toml");
    let file = Path::new("/etc/hassock/hassock.toml");
    let problems = Config::parse(file, &text).unwrap_err().to_string();
    assert!(problems.lines().count() == 1 && problems.contains("has no app"), "{problems}");
    let example =
        text.lines().skip_while(|line| *line != "# [databases.main]").map(|line| line.trim_start_matches("# "));
    let example: String = example.flat_map(|line| [line.trim_start_matches('#'), "\n"]).collect();
    let config = Config::parse(file, &format!("{text}\n{example}")).unwrap();
    assert_eq!(config.apps.len(), 1);
    let is_unix = |address: &ListenAddress| matches!(address, ListenAddress::Unix(_));
    assert!(config.all_listeners().iter().all(|(_, listener)| is_unix(&listener.address)));
    assert!(matches!(config.admin.unwrap().listen, AdminAddress::Unix(_)));
}

/// `SOURCE_DATE_EPOCH`: who builds it again gets the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_program_gives_the_same_package() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files = [deb(folders[0].path(), "1").await, deb(folders[1].path(), "1").await];
    assert_eq!(files[0].file_name(), files[1].file_name());
    let [one, other] = files.map(|file| fs::read(file).unwrap());
    assert!(one == other, "the packages differ");
}
