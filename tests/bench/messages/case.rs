//! What is measured, and what is to be reached.

use clap::ValueEnum;

use super::load::Load;
use super::server::Server;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// 64 bytes, 32 connections, 1 message in flight.
    #[value(name = "echo-1")]
    Echo1,
    /// 64 bytes, 32 connections, 16 messages in flight.
    #[value(name = "echo-16")]
    Echo16,
    /// 16 KiB, 8 connections, 1 message in flight.
    #[value(name = "echo-16k")]
    EchoLarge,
    /// 64 bytes from one client to 200.
    FanOut,
    /// Connections that are opened and closed again.
    Accepts,
    /// The memory of an open connection that has sent one message.
    Idle,
}

impl Case {
    pub const ALL: [Self; 6] = [Self::Echo1, Self::Echo16, Self::EchoLarge, Self::FanOut, Self::Accepts, Self::Idle];

    /// Prepare the load on a server.
    pub async fn load(self, server: Server) -> Load {
        match self {
            Self::Echo1 => Load::echo(server, 32, 64, 1).await,
            Self::Echo16 => Load::echo(server, 32, 64, 16).await,
            Self::EchoLarge => Load::echo(server, 8, 16 << 10, 1).await,
            Self::FanOut => Load::fan_out(server).await,
            Self::Accepts => Load::Accepts { server },
            Self::Idle => Load::Idle { server, sockets: Vec::new(), connections: 2000 },
        }
    }

    pub fn rounds(self, wanted: usize) -> usize {
        match self {
            // Each round opens more connections, and the number of open files is limited.
            Self::Idle => wanted.min(3),
            _ => wanted,
        }
    }

    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::Echo1 | Self::Echo16 | Self::EchoLarge => "messages/s",
            Self::FanOut => "deliveries/s",
            Self::Accepts => "connections/s",
            Self::Idle => "bytes/connection",
        }
    }

    /// What is to be reached.
    pub fn target(self) -> &'static str {
        match self {
            Self::Echo1 | Self::Accepts => "≥ 1.0",
            Self::Echo16 | Self::EchoLarge => "≥ 1.2",
            Self::FanOut => "≥ 1.7",
            Self::Idle => "≤ 3072 bytes",
        }
    }
}
