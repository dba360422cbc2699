//! The binary from outside: its documents and its commands.

mod docs_console;
mod docs_yaml;
