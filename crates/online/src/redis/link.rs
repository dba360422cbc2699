//! One connection, with the scripts loaded and the format known.

use ::redis::{Client, Cmd, ConnectionLike, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use karat_core::OnlineError;

use super::address::Address;
use super::scripts::{ALL, Script};
use super::{FORMAT_VERSION, RedisOptions, errors};

/// What connections are made of.
pub(super) struct Server {
    client: Client,
    prefix: String,
    pub place: String,
    pub options: RedisOptions,
}

pub(super) struct Link {
    connection: ::redis::Connection,
    /// By script, what the server calls it.
    names: Vec<String>,
}

impl Server {
    pub fn new(uri: &str, options: RedisOptions) -> Result<Server, OnlineError> {
        let Address { info, prefix, place } = Address::parse(uri)?;
        let client = Client::open(info).map_err(|error| errors::convert(&place, &error))?;
        Ok(Server { client, prefix, place, options })
    }

    pub fn error(&self, error: RedisError) -> OnlineError {
        errors::convert(&self.place, &error)
    }

    pub fn unexpected(&self, what: &str) -> OnlineError {
        errors::unexpected(&self.place, what)
    }

    /// What the store calls something of its own.
    pub fn name(&self, what: &str) -> String {
        format!("{}:{what}", self.prefix)
    }

    /// A command that runs a script, with what every script is given; those that write are told the format.
    pub fn script(&self, link: &Link, script: Script) -> Cmd {
        let mut command = ::redis::cmd("EVALSHA");
        command.arg(&link.names[script as usize]).arg(0).arg(&self.prefix);
        command
    }

    pub fn writing(&self, link: &Link, script: Script) -> Cmd {
        let mut command = self.script(link, script);
        command.arg(FORMAT_VERSION);
        command
    }

    pub fn connect(&self) -> Result<Link, OnlineError> {
        let (link, format) = self.open().map_err(|error| self.error(error))?;
        match format {
            None => Ok(link),
            Some(text) => match text.parse::<u32>() {
                Ok(version) if version <= FORMAT_VERSION => Ok(link),
                Ok(_) => Err(errors::newer(&self.place, &text, FORMAT_VERSION)),
                Err(_) => Err(self.unexpected("its format version is unreadable")),
            },
        }
    }

    fn open(&self) -> RedisResult<(Link, Option<String>)> {
        let connection = self.client.get_connection_with_timeout(self.options.connect_timeout)?;
        connection.set_read_timeout(Some(self.options.answer_timeout))?;
        connection.set_write_timeout(Some(self.options.answer_timeout))?;
        let mut link = Link { connection, names: Vec::new() };
        link.load()?;
        let format = ::redis::cmd("GET").arg(self.name("format")).query(&mut link.connection)?;
        Ok((link, format))
    }
}

impl Link {
    /// One round trip for all of them. Every answer is taken in, so that none is left for the next command; a connection
    /// that gives none is not used again.
    fn load(&mut self) -> RedisResult<()> {
        for script in ALL {
            self.send(::redis::cmd("SCRIPT").arg("LOAD").arg(script.text()))?;
        }
        let mut answers = Vec::with_capacity(ALL.len());
        for _ in ALL {
            match self.receive() {
                Err(error) if error.is_io_error() => return Err(error),
                answer => answers.push(answer),
            }
        }
        self.names.clear();
        for answer in answers {
            self.names.push(::redis::from_redis_value(answer?)?);
        }
        Ok(())
    }

    /// One round trip. Scripts that the server was told to forget are loaded again.
    pub fn call(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self.connection.req_command(command)?.extract_error() {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.load()?;
                self.connection.req_command(command)?.extract_error()
            }
            answer => answer,
        }
    }

    /// Half a round trip: [`Link::receive`] gets the answers, in the order of what was sent.
    pub fn send(&mut self, command: &Cmd) -> RedisResult<()> {
        self.connection.send_packed_command(&command.get_packed_command())
    }

    pub fn receive(&mut self) -> RedisResult<Value> {
        self.connection.recv_response()?.extract_error()
    }
}
