//! One connection, with the scripts loaded and the format known.

use std::sync::OnceLock;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionLike, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
};
use karat_core::OnlineError;

use super::address::Address;
use super::scripts::{ALL, Script};
use super::{FORMAT_VERSION, RedisOptions, errors};

/// What connections are made of.
pub(super) struct Server {
    client: Client,
    prefix: String,
    /// By script, what the server calls it: the digest of its text, so the same on every connection.
    names: OnceLock<Vec<String>>,
    pub place: String,
    pub options: RedisOptions,
}

pub(super) struct Link {
    connection: ::redis::Connection,
}

impl Server {
    pub fn new(uri: &str, options: RedisOptions) -> Result<Server, OnlineError> {
        let Address { info, prefix, place } = Address::parse(uri)?;
        let client = Client::open(info).map_err(|error| errors::convert(&place, &error))?;
        Ok(Server { client, prefix, names: OnceLock::new(), place, options })
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
    pub fn script(&self, script: Script) -> Cmd {
        let names = self.names.get().expect("whoever opens the store makes a connection, which loads the scripts");
        let mut command = ::redis::cmd("EVALSHA");
        command.arg(&names[script as usize]).arg(0).arg(&self.prefix);
        command
    }

    pub fn writing(&self, script: Script) -> Cmd {
        let mut command = self.script(script);
        command.arg(FORMAT_VERSION);
        command
    }

    pub fn connect(&self) -> Result<Link, OnlineError> {
        let (link, format) = self.open().map_err(|error| self.error(error))?;
        self.check(format)?;
        Ok(link)
    }

    /// A connection whose answers are awaited, for as many calls at a time as there are: their answers come in their order. It
    /// lives as long as the runtime it is made on.
    pub async fn connect_shared(&self) -> Result<MultiplexedConnection, OnlineError> {
        let (connection, format) = self.open_shared().await.map_err(|error| self.error(error))?;
        self.check(format)?;
        Ok(connection)
    }

    fn open(&self) -> RedisResult<(Link, Option<String>)> {
        let connection = self.client.get_connection_with_timeout(self.options.connect_timeout)?;
        connection.set_read_timeout(Some(self.options.answer_timeout))?;
        connection.set_write_timeout(Some(self.options.answer_timeout))?;
        let mut link = Link { connection };
        let names = link.load()?;
        self.names.get_or_init(|| names);
        let format = self.format().query(&mut link.connection)?;
        Ok((link, format))
    }

    async fn open_shared(&self) -> RedisResult<(MultiplexedConnection, Option<String>)> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout))
            .set_response_timeout(Some(self.options.answer_timeout));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let format = self.format().query_async(&mut connection).await?;
        Ok((connection, format))
    }

    fn format(&self) -> Cmd {
        let mut command = ::redis::cmd("GET");
        command.arg(self.name("format"));
        command
    }

    fn check(&self, format: Option<String>) -> Result<(), OnlineError> {
        match format.map(|text| (text.parse::<u32>(), text)) {
            None => Ok(()),
            Some((Ok(version), _)) if version <= FORMAT_VERSION => Ok(()),
            Some((Ok(_), text)) => Err(errors::newer(&self.place, &text, FORMAT_VERSION)),
            Some((Err(_), _)) => Err(self.unexpected("its format version is unreadable")),
        }
    }
}

/// What loads a script, and answers its name.
pub(super) fn loading(script: Script) -> Cmd {
    let mut command = ::redis::cmd("SCRIPT");
    command.arg("LOAD").arg(script.text());
    command
}

/// Whether the server answered, if with an error.
pub(super) fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// Whether the server was told to forget its scripts.
pub(super) fn has_forgotten(answer: &RedisResult<Value>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

impl Link {
    /// One round trip for all of them, which answers their names. Every answer is taken in, so that none is left for the next
    /// command; a connection that gives none is not used again.
    fn load(&mut self) -> RedisResult<Vec<String>> {
        for script in ALL {
            self.send(&loading(script))?;
        }
        let mut answers = Vec::with_capacity(ALL.len());
        for _ in ALL {
            match self.receive() {
                Err(error) if error.is_io_error() => return Err(error),
                answer => answers.push(answer),
            }
        }
        answers.into_iter().map(|answer| Ok(::redis::from_redis_value(answer?)?)).collect()
    }

    /// One round trip. Scripts that the server was told to forget are loaded again.
    pub fn call(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = self.connection.req_command(command)?.extract_error();
        if has_forgotten(&answer) {
            self.load()?;
            return self.connection.req_command(command)?.extract_error();
        }
        answer
    }

    /// Half a round trip: [`Link::receive`] gets the answers, in the order of what was sent.
    pub fn send(&mut self, command: &Cmd) -> RedisResult<()> {
        self.connection.send_packed_command(&command.get_packed_command())
    }

    pub fn receive(&mut self) -> RedisResult<Value> {
        self.connection.recv_response()?.extract_error()
    }
}
