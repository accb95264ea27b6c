//! What the program gives up once its devices and outputs are open: everything that it no longer
//! needs to read packets and to write rows.
//!
//! Parsing what strangers send is the risk; whoever takes over the program by it should find nothing
//! to do. On Linux: another user than root, no capabilities, no new privileges ever, and, where the
//! kernel has Landlock, no file that could be opened for writing. Elsewhere nothing is done.

/// The user that root becomes, unless another is named.
#[cfg(target_os = "linux")]
const NOBODY: &str = "nobody";

/// Gives up privileges. To be called before there are threads: each has privileges of its own.
/// Says what this system does not know how to give up.
///
/// # Errors
///
/// What was to be given up and is still there, in words: then it is not safe to go on as if it were
/// not.
#[cfg(target_os = "linux")]
pub fn enter(user: Option<&str>) -> Result<Option<String>, String> {
    use caps::CapSet;

    become_user(user)?;
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        caps::clear(None, set).map_err(|error| format!("capabilities stay: {error}"))?;
    }
    nix::sys::prctl::set_no_new_privs()
        .map_err(|error| format!("new privileges cannot be ruled out: {error}"))?;
    Ok(forbid_writing())
}

/// Elsewhere there is nothing to give up that could be.
///
/// # Errors
///
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn enter(_user: Option<&str>) -> Result<Option<String>, String> {
    Ok(Some("privileges are given up on Linux only".to_owned()))
}

/// Root becomes the user; who is no root stays who he is.
#[cfg(target_os = "linux")]
fn become_user(user: Option<&str>) -> Result<(), String> {
    use nix::unistd::{User, geteuid, setgroups, setresgid, setresuid};

    if !geteuid().is_root() {
        return match user {
            Some(user) => Err(format!("only root can become {user}: leave out --user")),
            None => Ok(()),
        };
    }
    let name = user.unwrap_or(NOBODY);
    let user = User::from_name(name)
        .map_err(|error| format!("{name}: cannot be looked up: {error}"))?
        .ok_or_else(|| format!("{name}: there is no such user; name one with --user"))?;
    let (uid, gid) = (user.uid, user.gid);
    let refused = |error| format!("cannot become {name}: {error}");
    setgroups(&[]).map_err(refused)?;
    setresgid(gid, gid, gid).map_err(refused)?;
    setresuid(uid, uid, uid).map_err(refused)
}

/// Leaves only what is open already writable; says so where the kernel cannot.
#[cfg(target_os = "linux")]
fn forbid_writing() -> Option<String> {
    use landlock::{ABI, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus};

    let forbidden = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(ABI::V3))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.restrict_self());
    match forbidden {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => None,
        Ok(_) => {
            Some("the kernel has no Landlock: files can still be opened for writing".to_owned())
        }
        Err(error) => Some(format!("files can still be opened for writing: {error}")),
    }
}
