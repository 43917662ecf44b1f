//! Who may use the file of a Unix socket: its mode, its owner and its group.

use std::fmt;
use std::fs;

use super::{Address, AddressKind};
use crate::error::{Error, ErrorKind};

/// A user or a group of the system, by number or by name.
///
/// A name is looked up in `/etc/passwd` or `/etc/group` at `bind`; one that only a directory service
/// (LDAP, `systemd-homed`) knows has to be given by its number. A text that is no name there but a
/// number is that number.
///
/// # Example
///
/// ```
/// use kestrel_rs::Endpoint;
/// use kestrel_rs::listener::UnixId;
///
/// let endpoint = Endpoint::unix("/run/app.sock").unix_owner(1000).unix_group("www-data");
/// assert_eq!(UnixId::from("www-data").to_string(), "www-data");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixId(Id);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(u32),
    Name(Box<str>),
}

impl From<u32> for UnixId {
    fn from(number: u32) -> Self {
        Self(Id::Number(number))
    }
}

impl From<&str> for UnixId {
    fn from(name: &str) -> Self {
        Self(Id::Name(name.into()))
    }
}

impl From<String> for UnixId {
    fn from(name: String) -> Self {
        Self(Id::Name(name.into()))
    }
}

impl fmt::Display for UnixId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Number(number) => fmt::Display::fmt(number, f),
            Id::Name(name) => f.write_str(name),
        }
    }
}

impl UnixId {
    /// The number; for a name, the one in this table of the system.
    fn number(&self, table: &Table) -> Result<u32, Error> {
        let name = match &self.0 {
            Id::Number(number) => return Ok(*number),
            Id::Name(name) => name,
        };
        let wrong = |what: String| Error::new(ErrorKind::Option, format!("{}: {what}", table.option));
        let text = fs::read_to_string(table.path).map_err(|error| {
            wrong(format!("cannot look {name:?} up in {}; give its number", table.path)).with_source(error)
        })?;
        find(&text, name).or_else(|| name.parse().ok()).ok_or_else(|| {
            wrong(format!("{name:?} is not in {}; give its number, or a name that is there", table.path))
        })
    }
}

/// The number behind a name, in the form that passwd and group share: `name:password:number:...`.
fn find(table: &str, name: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name) && !name.is_empty();
        fields.nth(1).filter(|_| found)?.parse().ok()
    })
}

/// Where names of a kind stand, and the option that they are given by.
struct Table {
    path: &'static str,
    option: &'static str,
}

const USERS: Table = Table { path: "/etc/passwd", option: "unix_owner" };
const GROUPS: Table = Table { path: "/etc/group", option: "unix_group" };

/// What an endpoint says of its file.
#[derive(Clone, Debug, Default)]
pub(super) struct UnixFile {
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<UnixId>,
    pub(super) group: Option<UnixId>,
}

impl UnixFile {
    pub(super) fn check(&self, address: &Address) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Option, what));
        if let Some(mode) = self.mode.filter(|mode| *mode > 0o777) {
            return wrong(format!("unix_mode: {mode:#o} is not allowed; at most 0o777 is"));
        }
        let options = [
            ("unix_mode", self.mode.is_some()),
            ("unix_owner", self.owner.is_some()),
            ("unix_group", self.group.is_some()),
        ];
        let set = options.into_iter().find(|(_, set)| *set);
        if let Some((option, _)) = set.filter(|_| !matches!(address.kind(), AddressKind::Unix(_))) {
            return wrong(format!("{option}: only a Unix socket made here has a file"));
        }
        self.ids().map(drop)
    }

    /// The numbers of owner and group.
    pub(super) fn ids(&self) -> Result<(Option<u32>, Option<u32>), Error> {
        let owner = self.owner.as_ref().map(|owner| owner.number(&USERS)).transpose()?;
        let group = self.group.as_ref().map(|group| group.number(&GROUPS)).transpose()?;
        Ok((owner, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_a_table_of_the_system() {
        let table = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nwww-data:x:33:\nbroken:x\nodd:x:-1:\n";
        assert_eq!(find(table, "root"), Some(0));
        assert_eq!(find(table, "www-data"), Some(33));
        for name in ["", "www", "x", "broken", "odd", "33"] {
            assert_eq!(find(table, name), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_is_a_number_is_one_unless_it_is_a_name() {
        assert_eq!(UnixId::from("root").number(&USERS).unwrap(), 0);
        assert_eq!(UnixId::from("4711").number(&GROUPS).unwrap(), 4711);
        let error = UnixId::from("no such user").number(&USERS).unwrap_err();
        assert!(error.is_option());
        assert!(error.to_string().contains("unix_owner: \"no such user\" is not in /etc/passwd"), "{error}");
    }
}
