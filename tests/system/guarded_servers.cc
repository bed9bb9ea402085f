#include "tests/system/guarded_servers.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

namespace ktlsim::system_tests {
namespace {

constexpr const char* kApacheModules = "/usr/lib/apache2/modules";
constexpr const char* kLighttpdModules = "/usr/lib/lighttpd";

bool IsThere(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

}  // namespace

GuardedServer::GuardedServer(const GuardedServerSetup& setup) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_.File("www"));
  folder_.Write("www/index.html", "home");
  folder_.Write("users", setup.users);
  // A server that root starts serves as somebody else.
  for (const std::string& path : {folder_.path(), folder_.File("www"),
                                  folder_.File("www/index.html"), folder_.File("users")}) {
    const bool searched = fs::is_directory(path);
    fs::permissions(path,
                    fs::perms::others_read | (searched ? fs::perms::others_exec : fs::perms::none),
                    fs::perm_options::add);
  }
}

bool Apache::installed() {
  return access("/usr/sbin/apache2", X_OK) == 0 &&
         IsThere(fmt::format("{}/mod_auth_digest.so", kApacheModules)) &&
         IsThere(fmt::format("{}/mod_ssl.so", kApacheModules));
}

Apache::Apache(const GuardedServerSetup& setup) : GuardedServer(setup) {
  std::string modules;
  for (const char* const name : {"mpm_event", "authn_core", "authz_core", "authn_file",
                                 "authz_user", "auth_digest", "socache_shmcb", "ssl", "dir"}) {
    modules += fmt::format("LoadModule {0}_module {1}/mod_{0}.so\n", name, kApacheModules);
  }
  folder_.Write(
      "apache.conf",
      modules +
          fmt::format(
              "ServerRoot {0}\nDefaultRuntimeDir {0}\nPidFile {0}/pid\nServerName localhost\n"
              "User nobody\nGroup nogroup\nListen {1}\nErrorLog {0}/error.log\n"
              "LogFormat \"%>s %u %{{Authorization}}i\" told\nCustomLog {0}/access.log told\n"
              "KeepAlive On\nMaxKeepAliveRequests 0\nDocumentRoot {0}/www\n"
              "DirectoryIndex index.html\nSSLEngine on\nSSLProtocol -all +TLSv{2}\n"
              "SSLSessionCache shmcb:{0}/sessions(512000)\n"
              "SSLCertificateFile {3}\nSSLCertificateKeyFile {4}\n",
              folder_.path(), address(), setup.tls_version, setup.certificate.certificate,
              setup.certificate.key) +
          fmt::format("<Location />\nAuthType Digest\nAuthName {}\nAuthDigestProvider file\n"
                      "AuthUserFile {}\nRequire valid-user\n{}</Location>\n",
                      setup.realm, folder_.File("users"), setup.more));
  // One process: nothing is left when it is killed.
  Start({"apache2", "-X", "-d", folder_.path(), "-f", folder_.File("apache.conf")});
}

bool Apache::WaitForLog(const std::string& text) const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    std::ifstream file(folder_.File("access.log"));
    const std::string log{std::istreambuf_iterator<char>(file), {}};
    if (log.find(text) != std::string::npos) return true;
    std::this_thread::yield();
  }
  return false;
}

bool Lighttpd::installed() {
  return access("/usr/sbin/lighttpd", X_OK) == 0 &&
         IsThere(fmt::format("{}/mod_auth.so", kLighttpdModules)) &&
         IsThere(fmt::format("{}/mod_openssl.so", kLighttpdModules));
}

Lighttpd::Lighttpd(const GuardedServerSetup& setup, const std::string& algorithms)
    : GuardedServer(setup) {
  folder_.Write(
      "lighttpd.conf",
      fmt::format("server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_openssl\")\n"
                  "server.document-root = \"{0}/www\"\nserver.bind = \"127.0.0.1\"\n"
                  "server.port = {1}\nserver.errorlog = \"{0}/error.log\"\n"
                  "server.max-keep-alive-requests = 1000000\n"
                  "index-file.names = (\"index.html\")\n"
                  "ssl.engine = \"enable\"\nssl.pemfile = \"{2}\"\nssl.privkey = \"{3}\"\n"
                  "ssl.openssl.ssl-conf-cmd = (\"MinProtocol\" => \"TLSv{4}\", "
                  "\"MaxProtocol\" => \"TLSv{4}\")\n"
                  "auth.backend = \"htdigest\"\nauth.backend.htdigest.userfile = \"{0}/users\"\n",
                  folder_.path(), port(), setup.certificate.certificate, setup.certificate.key,
                  setup.tls_version) +
          fmt::format("auth.require = (\"\" => (\"method\" => \"digest\", \"realm\" => \"{}\", "
                      "\"require\" => \"valid-user\", \"algorithm\" => \"{}\"))\n{}",
                      setup.realm, algorithms, setup.more));
  Start({"lighttpd", "-D", "-f", folder_.File("lighttpd.conf")});
}

}  // namespace ktlsim::system_tests
