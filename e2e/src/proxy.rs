//! An HTTPS proxy that knows the way to other people's registries: to the local stand-ins for them.
//!
//! A client that is given it as `HTTPS_PROXY` asks it for `ghcr.io:443` and ends up at a loopback address. TLS goes
//! through untouched, so the stand-in must hold a certificate for the name. Unknown names are refused.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy that connects each host name (without a port) to its address.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(hosts: BTreeMap<String, SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let hosts = Arc::new(hosts);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hosts = Arc::clone(&hosts);
                // A client that goes away mid-way is its own business.
                tokio::spawn(async move { drop(serve(stream, &hosts).await) });
            }
        });
        Ok(Self { address, listening })
    }

    /// What to put into `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, hosts: &BTreeMap<String, SocketAddr>) -> Result<()> {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_whitespace().next());
    let host = target.and_then(|target| target.split(':').next()).unwrap_or_default();
    let Some(address) = hosts.get(host) else {
        client.write_all(b"HTTP/1.1 502 Unknown Host\r\ncontent-length: 0\r\n\r\n").await?;
        return Ok(());
    };
    let mut server = TcpStream::connect(address).await.with_context(|| format!("{host} is away"))?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
