//! `cargo run -p e2e --bin tools`: has every program ready before a test needs it, and says where each is.

use std::io::Write as _;
use std::process::ExitCode;

use e2e::tools::Tool;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for tool in Tool::ALL {
        let said = match tool.path() {
            Ok(path) => writeln!(out, "{:<24} {}", tool.name(), path.display()),
            Err(error) => {
                drop(writeln!(std::io::stderr(), "{error:#}"));
                return ExitCode::FAILURE;
            }
        };
        if said.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
