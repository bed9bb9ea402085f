// CyrusSasl: a client of DIGEST-MD5 as Cyrus SASL implements it, found when the test runs.
//
// Its headers are a package of their own, so that what is used of its C interface is declared here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ktlsim::digest::test {

class CyrusClient {
 public:
  // What the client brings along.
  struct Account {
    std::string username;
    std::string password;
    std::string realm;
  };

  // Empty, with the reason in *why: the library, or its mechanism, is not installed.
  static std::unique_ptr<CyrusClient> Create(const Account& account, std::string* why);
  ~CyrusClient();
  CyrusClient(const CyrusClient&) = delete;
  CyrusClient& operator=(const CyrusClient&) = delete;

  // Its answer to what the server sent. Empty: it refuses.
  std::optional<std::string> Step(std::string_view from_server);
  // A message under the layer that was agreed on, with its four bytes of length.
  std::optional<std::string> Protect(std::string_view message);
  // The reverse.
  std::optional<std::string> Unprotect(std::string_view wire);

 private:
  class Library;

  CyrusClient();

  static int GetName(void* context, int id, const char** result, unsigned* bytes);
  static int GetPassword(void* connection, void* context, int id, void** secret);
  static int GetRealm(void* context, int id, const char** available, const char** result);

  bool Connect(std::string* why);

  Account account_;
  std::string secret_;  // in the library's form
  std::unique_ptr<Library> library_;
  void* connection_ = nullptr;
};

}  // namespace ktlsim::digest::test
