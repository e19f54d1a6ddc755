//! Two loads that take turns, because a shared machine's speed changes: a ratio is one of neighbouring rounds.

use crate::load::{Load, Round};

/// The host, and what it is compared with.
pub struct Contest {
    pub reference: Option<Box<dyn Load>>,
    pub hassock: Box<dyn Load>,
}

/// A round of each.
pub struct Turn {
    pub reference: Option<Round>,
    pub hassock: Round,
}

impl Contest {
    pub fn new(reference: impl Load + 'static, hassock: impl Load + 'static) -> Self {
        Self { reference: Some(Box::new(reference)), hassock: Box::new(hassock) }
    }

    pub fn alone(hassock: impl Load + 'static) -> Self {
        Self { reference: None, hassock: Box::new(hassock) }
    }

    /// The first turn is to warm up.
    pub async fn turns(mut self, rounds: usize) -> Vec<Turn> {
        self.turn().await;
        let mut turns = Vec::new();
        for _ in 0..rounds {
            turns.push(self.turn().await);
        }
        turns
    }

    async fn turn(&mut self) -> Turn {
        let reference = match &mut self.reference {
            Some(load) => Some(load.round().await),
            None => None,
        };
        Turn { reference, hassock: self.hassock.round().await }
    }
}
