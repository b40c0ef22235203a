//! `KVS_SENTINEL_USER` and `KVS_SENTINEL_PASSWORD`: credentials at the Sentinels.

use super::RedisKind;
use crate::base::secret::Secret;

/// Credentials at the Sentinels, which differ from those of Redis.
#[derive(Debug, Clone)]
pub struct SentinelLogin {
    /// ACL user; `None` for the default user.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Secret,
}

const USER: &str = "KVS_SENTINEL_USER";
const PASSWORD: &str = "KVS_SENTINEL_PASSWORD";

/// Values of the variables.
pub(in crate::settings) struct SentinelVariables<'a> {
    pub(in crate::settings) user: Option<&'a str>,
    pub(in crate::settings) password: Option<&'a Secret>,
}

impl SentinelVariables<'_> {
    /// Reports each variable that is set although there are no Sentinels.
    pub(in crate::settings) fn report_unused(&self, problems: &mut Vec<String>) {
        let set = [(USER, self.user.is_some()), (PASSWORD, self.password.is_some())];
        for (name, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
            problems.push(format!(
                "{name} is set, and KVS_ADDR names no Sentinels: unset it, or begin KVS_ADDR with redis-sentinel"
            ));
        }
    }

    /// Returns the credentials; a contradiction is a problem.
    pub(in crate::settings) fn read(
        &self,
        kind: &RedisKind,
        problems: &mut Vec<String>,
    ) -> Option<SentinelLogin> {
        if !matches!(kind, RedisKind::Sentinel(_)) {
            self.report_unused(problems);
            return None;
        }
        if self.user.is_some() && self.password.is_none() {
            problems.push(format!("{USER} is set without {PASSWORD}: a user needs its password"));
        }
        let password = self.password.cloned()?;
        Some(SentinelLogin { user: self.user.map(str::to_owned), password })
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::{SECRET, SITE, read};
    use crate::settings::{RedisAddress, StoreSettings};
    use gateway_routes::Site;

    static OPEN: Site = SITE;

    fn address(more: &[(&str, &str)]) -> Result<RedisAddress, String> {
        let all = [&[("GATEWAY_SECRET", SECRET)], more].concat();
        read(&OPEN, &all).map(|settings| match settings.store {
            StoreSettings::Redis(address) => address,
            StoreSettings::Embedded { .. } => panic!("KVS_ADDR is set"),
        })
    }

    #[test]
    fn sentinels_get_their_own_credentials_or_none() {
        let kvs = ("KVS_ADDR", "redis-sentinel://mcp:word@a,b/primary");
        assert!(address(&[kvs]).unwrap().sentinel_login.is_none());
        let password = ("KVS_SENTINEL_PASSWORD", "hunter2");
        let login = address(&[kvs, password]).unwrap().sentinel_login.unwrap();
        assert_eq!((login.user, login.password.expose()), (None, "hunter2"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let file = ("KVS_SENTINEL_PASSWORD_FILE", file.to_str().unwrap());
        let login = address(&[kvs, file, ("KVS_SENTINEL_USER", "gateway")]).unwrap().sentinel_login.unwrap();
        assert_eq!((login.user.as_deref(), login.password.expose()), (Some("gateway"), "hunter2"));
    }

    #[test]
    fn credentials_for_no_sentinel_are_a_problem() {
        let both = [("KVS_SENTINEL_USER", "gateway"), ("KVS_SENTINEL_PASSWORD", "hunter2")];
        for kvs in ["kv:6379", "rediss://kv", "redis-cluster://a,b", ""] {
            let problems = address(&[&both[..], &[("KVS_ADDR", kvs)]].concat()).unwrap_err();
            for (name, _) in both {
                assert!(
                    problems.contains(&format!("{name} is set, and KVS_ADDR names no Sentinels")),
                    "{problems}"
                );
            }
            assert!(!problems.contains("hunter2"), "{problems}");
        }
        let kvs = ("KVS_ADDR", "redis-sentinel://a/primary");
        let problems = address(&[kvs, both[0]]).unwrap_err();
        assert!(problems.contains("KVS_SENTINEL_USER is set without KVS_SENTINEL_PASSWORD"), "{problems}");
    }
}
