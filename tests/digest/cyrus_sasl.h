// CyrusClient, CyrusServer: the two ends of DIGEST-MD5 as Cyrus SASL implements them, found when
// the test runs.
//
// Its headers are a package of their own, so that what is used of its C interface is declared here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ktlsim::digest::test {

class CyrusLibrary;

// What the client brings along, and the one account of a server.
struct CyrusAccount {
  std::string username;
  std::string password;
  std::string realm;
};

// Messages under the layer that was agreed on, for either end.
class CyrusEnd {
 public:
  CyrusEnd(const CyrusEnd&) = delete;
  CyrusEnd& operator=(const CyrusEnd&) = delete;

  // With its four bytes of length.
  std::optional<std::string> Protect(std::string_view message);
  // The reverse.
  std::optional<std::string> Unprotect(std::string_view wire);

 protected:
  CyrusEnd();
  ~CyrusEnd();

  std::unique_ptr<CyrusLibrary> library_;
  void* connection_ = nullptr;
};

class CyrusClient final : public CyrusEnd {
 public:
  using Account = CyrusAccount;

  // Empty, with the reason in *why: the library, or its mechanism, is not installed.
  static std::unique_ptr<CyrusClient> Create(const Account& account, std::string* why);
  // Its response to what the server sent. Empty: it refuses.
  std::optional<std::string> Step(std::string_view from_server);

 private:
  CyrusClient() = default;

  static int GetName(void* context, int id, const char** result, unsigned* bytes);
  static int GetPassword(void* connection, void* context, int id, void** secret);
  static int GetRealm(void* context, int id, const char** available, const char** result);

  bool Connect(std::string* why);

  Account account_;
  std::string secret_;  // in the library's form
};

class CyrusServer final : public CyrusEnd {
 public:
  using Account = CyrusAccount;

  // With one account, in a file `database`, which is made. Empty, with the reason in *why: the
  // library, its mechanism, or its file of accounts is not installed.
  static std::unique_ptr<CyrusServer> Create(const Account& account, const std::string& database,
                                             std::string* why);

  // Its challenge, and later its last message. Empty: it refuses.
  std::optional<std::string> Start();
  std::optional<std::string> Step(std::string_view from_client);
  // Who has authenticated, when somebody has.
  std::string Username() const;

 private:
  explicit CyrusServer(const std::string& database) : database_(database) {}

  static int GetOption(void* context, const char* plugin, const char* option, const char** result,
                       unsigned* bytes);

  bool Listen(const Account& account, std::string* why);

  const std::string database_;
};

}  // namespace ktlsim::digest::test
