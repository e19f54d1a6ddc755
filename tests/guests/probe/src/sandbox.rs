//! Everything that a module must not be able to do. Each attempt answers with what it got, or with an error.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use hassock_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Any, json};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Escape {
    Environment,
    Arguments,
    ReadFile(String),
    WriteFile(String),
    ListFolder(String),
    Connect(String),
    Listen(String),
    Datagram(String),
    Resolve(String),
}

pub fn run(escape: Escape) -> Result<Any> {
    let attempt = match escape {
        Escape::Environment => Ok(json!(std::env::vars().collect::<Vec<_>>())),
        Escape::Arguments => Ok(json!(std::env::args().collect::<Vec<_>>())),
        Escape::ReadFile(path) => std::fs::read_to_string(path).map(Any::from),
        Escape::WriteFile(path) => std::fs::write(path, "x").map(|()| json!("written")),
        Escape::ListFolder(path) => std::fs::read_dir(path).map(|entries| json!(entries.count())),
        Escape::Connect(address) => TcpStream::connect(address).map(|_| json!("connected")),
        Escape::Listen(address) => TcpListener::bind(address).map(|_| json!("listening")),
        Escape::Datagram(address) => {
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", address)).map(Any::from)
        }
        Escape::Resolve(name) => name.to_socket_addrs().map(|addresses| json!(addresses.count())),
    };
    Ok(attempt?)
}
