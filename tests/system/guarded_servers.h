// Apache, Lighttpd: web servers that others wrote, with TLS, and with Digest for the users of one
// realm. In the foreground, on a port of their own, until destroyed.
#pragma once

#include <string>

#include "tests/system/authority.h"
#include "tests/system/proxies.h"

namespace ktlsim::system_tests {

struct GuardedServerSetup {
  const Authority::Files& certificate;
  std::string tls_version;  // "1.2" or "1.3", and no other
  std::string realm;
  std::string users;  // lines of a file as htdigest makes it
  std::string more;   // lines of its configuration
};

class GuardedServer : public Proxy {
 public:
  std::string address_by_name() const { return "localhost:" + std::to_string(port()); }

 protected:
  // Writes the files that every such server has.
  explicit GuardedServer(const GuardedServerSetup& setup);
  ~GuardedServer() = default;
};

// mod_auth_digest, which knows MD5 alone, and mod_ssl. `more` is within what is protected.
class Apache : public GuardedServer {
 public:
  static bool installed();

  explicit Apache(const GuardedServerSetup& setup);

  // Waits until it has logged `text`: for each request its status, its user and the Authorization
  // field. A line is written after its response. False: the time is up.
  bool WaitForLog(const std::string& text) const;
};

// mod_auth, which knows SHA-256, too, and mod_openssl.
class Lighttpd : public GuardedServer {
 public:
  static bool installed();

  // `algorithms` as its configuration has them: "MD5|SHA-256".
  Lighttpd(const GuardedServerSetup& setup, const std::string& algorithms);
};

}  // namespace ktlsim::system_tests
