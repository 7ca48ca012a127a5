//! Free loopback ports for programs that must be told one before they listen.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below Linux's range for outgoing connections (32768 and up), so that no client socket takes a port between
/// our look and the program's start, nor while a restarted program is away from it.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port nobody listens on, given out once per process; where the search starts is random, so that parallel
/// processes hardly meet.
///
/// # Errors
/// When every port of the range is taken.
pub fn free() -> Result<u16> {
    let range = u64::from(LAST - FIRST);
    let start = RandomState::new().hash_one(std::process::id()) % range;
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for step in 0..range {
        let port = FIRST + u16::try_from((start + step) % range)?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        if !given.contains(&port) && TcpListener::bind(address).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {LAST} on 127.0.0.1")
}
