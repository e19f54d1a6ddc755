//! `hassock test`: plays transcripts against the modules of an app inside this process, or against a running host.

mod find;
mod in_process;
mod remote;
mod suite;
mod target;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use hassock_transcript::BackendError;
use hassock_transcript::play::Mode;
use hassock_transcript::report::{self, Finished, Verdict, junit};
use tokio::task::spawn_blocking;

pub use self::in_process::InProcess;
pub use self::remote::{BadUrl, Publisher, Remote, Url, in_process_only};
use self::target::{RunningHost, Target};
use super::print::print;
use super::{CONFIG_FILE, CommandError};
use crate::build::build;
use crate::config::Config;
use crate::testkit::{TestError, TestHost, TestHostBuilder};

/// The arguments.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// An app's folder, with a hassock.toml, a config file, or a component
    #[arg(value_name = "DIR|MODULE", default_value = ".")]
    pub target: PathBuf,
    /// Transcripts, instead of all `*.transcript` below the folder
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Correct the transcripts: what the module does now is right. Review the changes before you keep them
    #[arg(long, conflicts_with = "url")]
    pub bless: bool,
    /// Also write a JUnit report, which CI systems read
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print a JSON object for each transcript
    #[arg(long)]
    pub json: bool,
    /// Play against a running host, such as ws://127.0.0.1:8080, through real sockets
    #[arg(long, value_name = "URL")]
    pub url: Option<Url>,
    /// With --url: how long an expected message may take
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "5s", requires = "url")]
    pub wait: Duration,
    /// With --url: the config that the host was started with. Steps that publish use its admin listener, as `hassock publish` does
    #[arg(long, value_name = "FILE", requires = "url")]
    pub config: Option<PathBuf>,
    /// Do not build the modules first
    #[arg(long)]
    pub no_build: bool,
}

/// Why not all transcripts passed.
#[derive(Debug, thiserror::Error)]
pub enum TestsError {
    /// Some failed. They have been reported.
    #[error("{}", count(*.0, "transcript failed", "transcripts failed"))]
    Failed(usize),
    /// Some could not be played. They have been reported.
    #[error("{}", count(*.0, "transcript could not be played", "transcripts could not be played"))]
    Broken(usize),
    /// There is nothing to play.
    #[error("there is no transcript in {}; write one, such as hello.transcript, or name a file", .0.display())]
    NoTranscripts(PathBuf),
    /// There is nothing to test.
    #[error("{}: there is no such folder or module; name an app's folder or a component (*.wasm)", .0.display())]
    NoTarget(PathBuf),
    /// A folder cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The folder.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The report cannot be written.
    #[error("cannot write the report {}: {source}", file.display())]
    Report {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The modules cannot be loaded.
    #[error(transparent)]
    Host(#[from] TestError),
    /// The running host cannot be reached.
    #[error("{0}; is it running, and is that its address?")]
    Absent(BackendError),
    /// The modules cannot be built, or the config is wrong.
    #[error(transparent)]
    Prepare(Box<CommandError>),
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

impl TestsError {
    /// 1 if the tests ran and some failed; 2 if they could not all run.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            _ => 2,
        }
    }
}

/// Play transcripts, and report.
///
/// # Errors
/// Unless all pass.
pub async fn run(args: TestArgs) -> Result<(), TestsError> {
    if !is_target(&args.target) {
        return Err(TestsError::NoTarget(args.target));
    }
    let files = files(&args)?;
    let target = match &args.url {
        Some(url) => {
            url.reach(args.wait).await.map_err(TestsError::Absent)?;
            let publisher = args.config.as_deref().map(Publisher::of_config).transpose();
            let publisher = publisher.map_err(|error| TestsError::Prepare(Box::new(error)))?;
            Target::Running(RunningHost { url: url.clone(), wait: args.wait, publisher })
        }
        None => in_process(&args).await?,
    };
    let work = move || play(&args, &files, &target);
    spawn_blocking(work).await.map_err(|error| TestError(error.to_string()))?
}

/// Whether it is a folder, a component or a config.
fn is_target(path: &Path) -> bool {
    let is_named_so = |extension: &OsStr| extension == "wasm" || extension == "toml";
    path.is_dir() || (path.is_file() && path.extension().is_some_and(is_named_so))
}

fn files(args: &TestArgs) -> Result<Vec<PathBuf>, TestsError> {
    match args.files.as_slice() {
        [] if args.target.is_dir() => find::transcripts(&args.target),
        [] => find::transcripts(folder_of(&args.target)),
        files => Ok(files.to_vec()),
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Build the modules and make sure that they load, so that afterwards only transcripts can fail.
async fn in_process(args: &TestArgs) -> Result<Target, TestsError> {
    let is_module = args.target.extension().is_some_and(|extension| extension == "wasm");
    let (builder, target): (TestHostBuilder, fn(TestHostBuilder) -> Target) = match is_module {
        true => (TestHost::builder().module(&args.target), Target::Module),
        false => {
            let file = if args.target.is_dir() { args.target.join(CONFIG_FILE) } else { args.target.clone() };
            let builder = TestHost::builder().config(&file);
            if !args.no_build {
                build_all(&builder.to_config()?).await.map_err(|error| TestsError::Prepare(Box::new(error)))?;
            }
            (builder, Target::App)
        }
    };
    if !args.json {
        eprintln!("loading {}", shown(&builder.modules()?));
    }
    let first = builder.clone();
    let loaded = spawn_blocking(move || std::thread::spawn(move || first.build().map(drop)).join()).await;
    match loaded {
        Ok(Ok(loaded)) => loaded?,
        _ => return Err(TestError("the modules cannot be loaded".to_owned()).into()),
    }
    Ok(target(builder))
}

async fn build_all(config: &Config) -> Result<(), CommandError> {
    for app in config.apps.values() {
        build(config, app).await?;
    }
    Ok(())
}

fn shown(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn play(args: &TestArgs, files: &[PathBuf], target: &Target) -> Result<(), TestsError> {
    let mode = if args.bless { Mode::Bless } else { Mode::Verify };
    let began = Instant::now();
    let finished = suite::play_all(files, target, mode, |result| match args.json {
        true => print(format!("{}\n", report::object(result))),
        false => print_in_colour(&format!("{}{}", report::line(result), report::failure(result))),
    });
    let time = began.elapsed();
    if !args.json {
        print(format!("\n{}{}", report::costs(&finished), report::summary(&finished, time)));
    }
    if args.bless && finished.iter().any(|result| matches!(result.verdict, Verdict::Failed(_))) {
        eprintln!(
            "transcripts that failed were not corrected: what comes after a step that cannot be played is not known"
        );
    }
    if let Some(file) = &args.junit {
        write_report(file, &finished, time)?;
    }
    judge(&finished)
}

/// Print a text that has colours, which go only to a terminal, and not if `NO_COLOR` is set.
fn print_in_colour(text: &str) {
    let choice = anstream::AutoStream::choice(&io::stdout());
    match choice {
        anstream::ColorChoice::Never => print(anstream::adapter::strip_str(text).to_string()),
        _ => print(text),
    }
}

fn write_report(file: &Path, finished: &[Finished], time: Duration) -> Result<(), TestsError> {
    let written = File::create(file).and_then(|to| {
        let mut to = BufWriter::new(to);
        junit::write(finished, time, &mut to)?;
        to.flush()
    });
    written.map_err(|source| TestsError::Report { file: file.to_owned(), source })
}

fn judge(finished: &[Finished]) -> Result<(), TestsError> {
    let broken = finished.iter().filter(|result| matches!(result.verdict, Verdict::Error { .. })).count();
    let failed = finished.iter().filter(|result| matches!(result.verdict, Verdict::Failed(_))).count();
    match (broken, failed) {
        (0, 0) => Ok(()),
        (0, failed) => Err(TestsError::Failed(failed)),
        (broken, _) => Err(TestsError::Broken(broken)),
    }
}
