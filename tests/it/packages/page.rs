//! The steps of the page of the book about the installation.

use std::collections::VecDeque;
use std::fs;
use std::process::Command;

use hassock_tests::markdown::{Block, blocks};
use hassock_tests::{Machine, workspace};

const PAGE: &str = "host/book/src/installing.md";

/// The blocks of commands, in their order.
pub(super) struct Page(VecDeque<Step>);

struct Step {
    name: String,
    commands: String,
}

impl Page {
    /// Every block of commands has to say which step it is, or that it is not played.
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(workspace().join(PAGE)).unwrap();
        // The package is that of this machine's architecture.
        let dpkg = Command::new("dpkg").arg("--print-architecture").output().unwrap();
        let architecture = String::from_utf8(dpkg.stdout).unwrap();
        let step = |block: Block| {
            if block.is_marked("not played") {
                return None;
            }
            let name = block.marks.iter().find_map(|mark| mark.strip_prefix("step "));
            let name = name.unwrap_or_else(|| panic!("{PAGE}:{}: the block is not a step", block.line)).to_owned();
            Some(Step { name, commands: block.text.replace("amd64", architecture.trim()) })
        };
        Self(blocks(&text).into_iter().filter(|block| block.language == "sh").filter_map(step).collect())
    }

    /// Play the next step of the page, which has to have this name. Returns what it prints.
    pub(super) async fn play(&mut self, machine: &Machine, name: &str) -> String {
        let step = self.0.pop_front().unwrap_or_else(|| panic!("the page has no step {name}"));
        assert_eq!(step.name, name, "the page has its steps in another order");
        machine.run(&step.commands).await
    }

    /// Nothing of the page is left.
    pub(super) fn is_played(&self) -> bool {
        self.0.is_empty()
    }
}
