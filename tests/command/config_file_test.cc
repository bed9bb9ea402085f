#include "kernel_sim/command/config_file.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

std::string NoOptions(SettingScope&) { return {}; }

std::string Parse(const std::string& text, ServeConfig* config) {
  return ParseConfig(text, "f.toml", &NoOptions, config);
}

TEST(ConfigFileTest, TheTopLevelIsTheOneListener) {
  ServeConfig config;
  ASSERT_EQ(Parse(R"(
listen = ["127.0.0.1:1", "[::1]:2"]
cert = "c"
key = "k"
root = "/srv"
tls = "1.3"
alpn = ["http/1.1", "http/1.0"]
tickets = 2
leg-timeout = "500ms"
idle-timeout = 0
record-timeout = "7s"
head-timeout = "3s"
request-timeout = 0
min-body-rate = 1000
max-connections = 10
groups = "P-256:X25519"
record-size = 4096
processors = 3
placement = "pool"
drain-timeout = "1m"
log-level = "warning"
log-json = true
)",
                  &config),
            "");
  ASSERT_EQ(config.listeners.size(), 1U);
  const ListenerConfig& listener = config.listeners[0];
  EXPECT_EQ(listener.listen, (std::vector<std::string>{"127.0.0.1:1", "[::1]:2"}));
  EXPECT_EQ(listener.mode, ServeMode::kFiles);
  EXPECT_EQ(listener.root, "/srv");
  EXPECT_EQ(listener.versions, TlsVersions::k13);
  EXPECT_EQ(listener.alpn, (std::vector<std::string>{"http/1.1", "http/1.0"}));
  EXPECT_EQ(listener.tickets, 2U);
  EXPECT_EQ(listener.limits.leg_ns, 500 * kNsPerMs);
  EXPECT_EQ(listener.limits.idle_ns, 0U);
  EXPECT_EQ(listener.limits.record_ns, 7 * kNsPerSecond);
  EXPECT_EQ(listener.http.times.head_ns, 3 * kNsPerSecond);
  EXPECT_EQ(listener.http.times.request_ns, 0U);
  EXPECT_EQ(listener.http.times.body_rate_min, 1000U);
  EXPECT_EQ(listener.max_connections, 10U);
  EXPECT_EQ(listener.groups, "P-256:X25519");
  EXPECT_EQ(listener.record_sizing.bytes_max, 4096U);
  EXPECT_EQ(listener.record_sizing.first_bytes, 0U);
  EXPECT_EQ(config.library.processors, 3U);
  EXPECT_TRUE(config.library.pool);
  EXPECT_EQ(config.drain_ns, 60 * kNsPerSecond);
  EXPECT_EQ(config.log.level, serve::LogLevel::kWarning);
  EXPECT_TRUE(config.log.json);
}

TEST(ConfigFileTest, CertificatesComeFromAFolder) {
  ServeConfig config;
  const std::string rest = "listen = \"127.0.0.1:1\"\necho = true\ncert-dir = \"/d\"\n";
  ASSERT_EQ(Parse(rest, &config), "");
  EXPECT_EQ(config.listeners[0].folder.path, "/d");
  EXPECT_FALSE(config.listeners[0].folder.acquire);
  EXPECT_EQ(config.listeners[0].limits.credential_ns, 5 * kNsPerSecond);
  ASSERT_EQ(Parse(rest + "acquire = 'start'\nacquire-timeout = '2s'\n", &config), "");
  EXPECT_EQ(config.listeners[0].folder.acquire, AcquireWhen::kStart);
  EXPECT_EQ(config.listeners[0].limits.credential_ns, 2 * kNsPerSecond);
  ASSERT_EQ(Parse(rest + "acquire = 'first-use'\ncerts-kept = 7\n", &config), "");
  EXPECT_EQ(config.listeners[0].folder.acquire, AcquireWhen::kFirstUse);
  EXPECT_EQ(config.listeners[0].folder.kept, 7U);
}

TEST(ConfigFileTest, AFolderAndACertificateExcludeEachOther) {
  const std::string rest = "listen = \"127.0.0.1:1\"\necho = true\n";
  const auto error = [&rest](const std::string& text) {
    ServeConfig config;
    return Parse(rest + text, &config);
  };
  for (const char* other : {"cert = 'c'\nkey = 'k'\n", "self-signed = 'n'\n"}) {
    EXPECT_NE(error(std::string("cert-dir = 'd'\n") + other).find("cert-dir excludes cert"),
              std::string::npos);
  }
  EXPECT_NE(error("cert-dir = 'd'\nsni = 'a=c,k'\n").find("cert-dir excludes sni"),
            std::string::npos);
  EXPECT_NE(error("self-signed = 'n'\nacquire = 'start'\n").find("acquire needs cert-dir"),
            std::string::npos);
  EXPECT_NE(error("self-signed = 'n'\ncerts-kept = 3\n").find("certs-kept needs cert-dir"),
            std::string::npos);
  EXPECT_NE(error("cert-dir = 'd'\nacquire = 'start'\ncerts-kept = 3\n")
                .find("with start all certificates are kept"),
            std::string::npos);
  EXPECT_NE(error("cert-dir = 'd'\nacquire = 'now'\n").find("f.toml:4: key `acquire`"),
            std::string::npos);
  EXPECT_NE(error("").find("--cert-dir DIR"), std::string::npos);
}

// A listener's own setting replaces the one above it, whichever of them it is.
TEST(ConfigFileTest, AListenersCertificateReplacesTheFolderAboveIt) {
  ServeConfig config;
  ASSERT_EQ(Parse(R"(
cert-dir = "d"
acquire = "start"
echo = true
[[listener]]
listen = "127.0.0.1:1"
[[listener]]
listen = "127.0.0.1:2"
cert = "c"
key = "k"
[[listener]]
listen = "127.0.0.1:3"
self-signed = "n"
)",
                  &config),
            "");
  ASSERT_EQ(config.listeners.size(), 3U);
  EXPECT_EQ(config.listeners[0].folder.path, "d");
  EXPECT_EQ(config.listeners[0].folder.acquire, AcquireWhen::kStart);
  for (const std::size_t i : {1U, 2U}) {
    EXPECT_EQ(config.listeners[i].folder.path, "");
    EXPECT_FALSE(config.listeners[i].folder.acquire);
  }
  ASSERT_EQ(Parse(R"(
cert = "c"
key = "k"
sni = "a=c,k"
echo = true
[[listener]]
listen = "127.0.0.1:1"
cert-dir = "d"
)",
                  &config),
            "");
  EXPECT_EQ(config.listeners[0].folder.path, "d");
  EXPECT_EQ(config.listeners[0].cert_file, "");
  EXPECT_TRUE(config.listeners[0].sni.empty());
}

TEST(ConfigFileTest, RecordsAreSizedByNumberOrDynamically) {
  ServeConfig config;
  const std::string rest = "listen = \"127.0.0.1:1\"\nself-signed = \"n\"\necho = true\n";
  ASSERT_EQ(Parse(rest + "record-size = \"dynamic\"\n", &config), "");
  EXPECT_EQ(config.listeners[0].record_sizing.bytes_max, 16384U);
  EXPECT_GT(config.listeners[0].record_sizing.first_bytes, 0U);
  for (const char* wrong : {"16385", "63", "\"adaptive\""}) {
    ServeConfig refused;
    const std::string error = Parse(rest + "record-size = " + wrong + "\n", &refused);
    EXPECT_NE(error.find("f.toml:4"), std::string::npos) << error;
    EXPECT_NE(error.find("dynamic"), std::string::npos) << error;
  }
}

TEST(ConfigFileTest, ListenersOverrideTheTop) {
  ServeConfig config;
  ASSERT_EQ(Parse(R"(
self-signed = "top"
tls = "1.2"
alpn = "a"
echo = true

[[listener]]
listen = "127.0.0.1:1"

[[listener]]
listen = "127.0.0.1:2"
cert = "c"
key = "k"
upstream = ["127.0.0.1:80", "127.0.0.1:81"]
balance = "least-connections"
proxy-protocol = true
alpn = ["b", "c"]
)",
                  &config),
            "");
  ASSERT_EQ(config.listeners.size(), 2U);
  EXPECT_EQ(config.listeners[0].mode, ServeMode::kEcho);
  EXPECT_EQ(config.listeners[0].self_signed, "top");
  const ListenerConfig& second = config.listeners[1];
  EXPECT_EQ(second.mode, ServeMode::kForward);
  EXPECT_EQ(second.versions, TlsVersions::k12);
  EXPECT_EQ(second.self_signed, "");
  EXPECT_EQ(second.cert_file, "c");
  EXPECT_EQ(second.alpn, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(second.upstreams.size(), 2U);
  EXPECT_EQ(second.forward.balance, serve::Balance::kLeastConnections);
  EXPECT_TRUE(second.forward.proxy_protocol);
}

TEST(ConfigFileTest, DigestIsForEachListener) {
  ServeConfig config;
  ASSERT_EQ(Parse(R"(
self-signed = "top"
respond-bytes = 1

[[listener]]
listen = "127.0.0.1:1"
digest-realm = "staff"
digest-users = "/etc/users"
digest-sha256 = true
digest-path = ["/private", "/.well-known/x"]

[[listener]]
listen = "127.0.0.1:2"
)",
                  &config),
            "");
  const DigestConfig& digest = config.listeners[0].digest;
  EXPECT_EQ(digest.realm, "staff");
  EXPECT_EQ(digest.users_file, "/etc/users");
  EXPECT_TRUE(digest.sha256);
  EXPECT_EQ(digest.paths, (std::vector<std::string>{"/private", "/.well-known/x"}));
  EXPECT_FALSE(config.listeners[1].digest.on());
}

// A context of the realm is good on both.
TEST(ConfigFileTest, ARealmHasOneFileOfUsers) {
  const auto two = [](const std::string& realm, const std::string& file) {
    return R"(
self-signed = "top"
respond-bytes = 1
[[listener]]
listen = "127.0.0.1:1"
digest-realm = "staff"
digest-users = "one"
[[listener]]
listen = "127.0.0.1:2"
digest-realm = ")" +
           realm + "\"\ndigest-users = \"" + file + "\"\n";
  };
  ServeConfig config;
  EXPECT_EQ(Parse(two("staff", "one"), &config), "");
  EXPECT_EQ(Parse(two("guests", "other"), &config), "");
  const std::string wrong = Parse(two("staff", "other"), &config);
  EXPECT_NE(wrong.find("a realm has one"), std::string::npos) << wrong;
}

TEST(ConfigFileTest, OptionsWinOverTheTopAndLoseToAListener) {
  const auto options = [](SettingScope& scope) {
    return ApplySetting(*FindSetting("tls"), scope, "1.3");
  };
  ServeConfig config;
  ASSERT_EQ(ParseConfig(R"(
self-signed = "a"
echo = true
tls = "1.2"
[[listener]]
listen = "127.0.0.1:1"
[[listener]]
listen = "127.0.0.1:2"
tls = "1.2-1.3"
)",
                        "f", options, &config),
            "");
  EXPECT_EQ(config.listeners[0].versions, TlsVersions::k13);
  EXPECT_EQ(config.listeners[1].versions, TlsVersions::k12And13);
}

TEST(ConfigFileTest, SniIsWrittenAsTheOption) {
  ServeConfig config;
  ASSERT_EQ(Parse("listen = '127.0.0.1:1'\nself-signed = 'a'\necho = true\nstrict-sni = true\n"
                  "sni = ['a.b=c.pem,k.pem', 'd=e,f']\nclient-auth = 'require'\nclient-ca = 'ca'\n",
                  &config),
            "");
  const ListenerConfig& listener = config.listeners[0];
  ASSERT_EQ(listener.sni.size(), 2U);
  EXPECT_EQ(listener.sni[0].name, "a.b");
  EXPECT_EQ(listener.sni[0].cert_file, "c.pem");
  EXPECT_EQ(listener.sni[0].key_file, "k.pem");
  EXPECT_TRUE(listener.strict_sni);
  EXPECT_EQ(listener.clients.auth, ClientAuth::kRequire);
  EXPECT_EQ(listener.clients.ca_file, "ca");
}

TEST(ConfigFileTest, MistakesNameFileLineKeyAndRemedy) {
  const std::string good = "listen = '127.0.0.1:1'\nself-signed = 'a'\n";  // two lines
  struct Mistake {
    std::string text;
    std::vector<std::string> told;
  };
  const Mistake mistakes[] = {
      {"listen = \n", {"f.toml:1: not TOML"}},
      {good + "lissen = 'x'\n", {"f.toml:3: key `lissen`: unknown", "did you mean `listen`"}},
      {good + "frobnicate = 1\n", {"f.toml:3: key `frobnicate`: unknown", "--help"}},
      {good + "tls = '1.1'\n", {"f.toml:3: key `tls`", "1.2-1.3"}},
      {good + "tls = 1.3\n", {"f.toml:3: key `tls`", "a text"}},
      {good + "tls = ['1.3']\n", {"f.toml:3: key `tls`", "a text"}},
      {good + "echo = 'yes'\n", {"f.toml:3: key `echo`: write true or false"}},
      {good + "echo = true\nroot = '/'\n", {"f.toml:4: key `root`", "excludes echo"}},
      {good + "leg-timeout = '5'\n", {"f.toml:3: key `leg-timeout`", "500ms"}},
      {good + "tickets = 9\n", {"f.toml:3: key `tickets`", "0 to 8"}},
      {good + "tickets = -1\n", {"f.toml:3: key `tickets`", "0 to 8"}},
      {good + "listen = 'a'\n", {"f.toml:3", "not TOML"}},  // twice
      {"listen = 'nowhere'\n", {"f.toml:1: key `listen`", "127.0.0.1:8443"}},
      {"listen = [1]\n", {"f.toml:1: key `listen`"}},
      {"listen = [['a']]\n", {"f.toml:1: key `listen`", "a list of texts"}},
      {"upstream = 'example.org'\n", {"f.toml:1: key `upstream`", "127.0.0.1:8080"}},
      {"sni = 'a'\n", {"f.toml:1: key `sni`", "NAME=CERT,KEY"}},
      {"alpn = ['']\n", {"f.toml:1: key `alpn`"}},
      {good, {"f.toml: say what to serve"}},
      {"echo = true\n", {"f.toml: an address is missing"}},
      {"listen = '127.0.0.1:1'\necho = true\n", {"f.toml: a certificate is missing"}},
      {"listen = '127.0.0.1:1'\necho = true\ncert = 'c'\n", {"cert and key belong together"}},
      {good + "echo = true\nclient-auth = 'require'\n", {"client-auth needs client-ca"}},
      {good + "echo = true\nsni = ['a=b,c', 'a=d,e']\n", {"sni: two certificates for a"}},
      {"listener = 1\n", {"f.toml:1: key `listener`", "[[listener]]"}},
      {"[listener]\nlisten = '127.0.0.1:1'\n", {"f.toml:1: key `listener`", "[[listener]]"}},
      {"[[listener]]\nprocessors = 1\n", {"f.toml:2: key `processors`", "above the first"}},
      {"[[listener]]\nlisten = '127.0.0.1:1'\n", {"f.toml:1: [[listener]]: a certificate"}},
      {"self-signed = 'a'\necho = true\n[[listener]]\nlisten = '127.0.0.1:1'\n[[listener]]\n"
       "listen = '127.0.0.1:1'\n",
       {"f.toml:6: key `listen`: 127.0.0.1:1 is there twice"}},
      {"self-signed = 'a'\necho = true\nlisten = ['*:1',\n'[::]:1']\n",
       {"f.toml:4: key `listen`: [::]:1 is there twice"}},
      {"self-signed = 'a'\necho = true\nreuse-port = true\nlisten = 'unix:/a'\n",
       {"unix:/a: a Unix-domain socket cannot be shared"}},
  };
  for (const Mistake& mistake : mistakes) {
    ServeConfig config;
    const std::string told = Parse(mistake.text, &config);
    for (const std::string& word : mistake.told) {
      EXPECT_NE(told.find(word), std::string::npos) << word << " in: " << told;
    }
  }
}

std::string Repeated(std::size_t times, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Parsing any of these would need more stack than there is.
TEST(ConfigFileTest, DepthIsBounded) {
  constexpr std::size_t kMany = 100000;
  const std::string dotted = Repeated(kMany, "a.") + "a";
  for (const std::string& text :
       {dotted + " = 1", "[" + dotted + "]", "[[" + dotted + "]]", "x = {" + dotted + " = 1}",
        "x = [{" + dotted + " = 1}]", Repeated(kMany, "'a' . \"b\".") + "c = 1",
        Repeated(kMany, "\"\\\".\" . ") + "c = 1", "x = " + Repeated(kMany, "["),
        "x = " + Repeated(kMany, "{a="),
        "x = " + Repeated(kMany, "[\n") + Repeated(kMany, "]\n")}) {
    ServeConfig config;
    const std::string told = Parse("echo = true\n" + text + "\n", &config);
    EXPECT_TRUE(told.starts_with("f.toml:")) << told.substr(0, 200);
    EXPECT_NE(told.find("more than 16"), std::string::npos) << told.substr(0, 200);
  }
}

TEST(ConfigFileTest, WhatStandsInTextsAndCommentsIsNoDepth) {
  const std::string many = Repeated(100, "a.[{");
  const std::string good = "listen = '127.0.0.1:1'\nself-signed = 'a'\n";
  for (const std::string& text :
       {"root = '" + many + "'", "root = \"\\\"" + many + "\"", "root = '''\n" + many + "''''",
        "root = \"\"\"" + many + "\\\"\"\"\"\"\"", "echo = true # " + many}) {
    ServeConfig config;
    EXPECT_EQ(Parse(good + text + "\n", &config), "");
  }
  ServeConfig config;
  const std::string deep = "root = '''\n\n" + many + "'''\na" + Repeated(16, ".a") + " = 1\n";
  const std::string told = Parse(good + deep, &config);
  EXPECT_NE(told.find("f.toml:6: a key of more than 16 parts"), std::string::npos) << told;
  EXPECT_NE(Parse(good + "a" + Repeated(15, ".a") + " = 1\n", &config).find("unknown"),
            std::string::npos);
}

TEST(ConfigFileTest, NamesWithANulAreRefused) {
  ServeConfig config;
  const std::string told = Parse("cert = \"/etc/cert\\u0000.pem\"\n", &config);
  EXPECT_NE(told.find("NUL"), std::string::npos) << told;
}

TEST(ConfigFileTest, WhatCannotBeReadIsNoEmptyConfiguration) {
  for (const char* path : {"/", "/dev/zero", "/proc/self/mem", "/no/file"}) {
    ServeConfig config;
    const std::string told = LoadConfig(path, &NoOptions, &config);
    EXPECT_TRUE(told.starts_with(std::string("--config ") + path + ": ")) << told;
  }
}

// Both readers use the same table.
TEST(ServeSettingsTest, EveryNameIsThereOnceAndExplained) {
  std::set<std::string> names;
  for (const Setting& setting : ServeSettings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_NE(std::string(setting.help), "") << setting.name;
    EXPECT_EQ(FindSetting(setting.name), &setting);
    EXPECT_EQ(SimilarSetting(std::string(setting.name) + "x"), setting.name);
  }
  EXPECT_EQ(FindSetting("nothing"), nullptr);
}

}  // namespace
}  // namespace ktlsim::command
