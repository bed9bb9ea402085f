#include "tests/digest/cyrus_sasl.h"

#include <dlfcn.h>

#include <array>
#include <cstring>

namespace ktlsim::digest::test {
namespace {

constexpr int kOk = 0;
constexpr int kContinue = 1;
constexpr int kFailed = -1;
constexpr unsigned long kListEnd = 0;
constexpr unsigned long kOption = 1;
constexpr unsigned long kUser = 0x4001;
constexpr unsigned long kAuthName = 0x4002;
constexpr unsigned long kPassword = 0x4004;
constexpr unsigned long kRealm = 0x4008;
constexpr int kUsernameProperty = 0;
constexpr int kSecurityProperties = 101;
constexpr unsigned kCreateAccount = 1;
// The server's last message comes with its success.
constexpr unsigned kSuccessData = 4;

using Routine = void (*)();  // of another type each, which the library knows by the id

struct Callback {
  unsigned long id;
  Routine routine;
  void* context;
};

struct SecurityProperties {
  unsigned strength_min = 0;
  unsigned strength_max = 128;
  unsigned message_bytes_max = 65536;
  unsigned flags = 0;
  const char** names = nullptr;
  const char** values = nullptr;
};

}  // namespace

// The functions that are used.
class CyrusLibrary {
 public:
  static std::unique_ptr<CyrusLibrary> Load() {
    auto library = std::make_unique<CyrusLibrary>();
    return library->handle_ != nullptr && library->Find() ? std::move(library) : nullptr;
  }
  CyrusLibrary() : handle_(dlopen("libsasl2.so.2", RTLD_NOW | RTLD_LOCAL)) {}
  ~CyrusLibrary() {
    if (done != nullptr) done();
    if (handle_ != nullptr) dlclose(handle_);
  }
  CyrusLibrary(const CyrusLibrary&) = delete;
  CyrusLibrary& operator=(const CyrusLibrary&) = delete;

  int (*init)(const Callback*) = nullptr;
  int (*create)(const char*, const char*, const char*, const char*, const Callback*, unsigned,
                void**) = nullptr;
  int (*start)(void*, const char*, void**, const char**, unsigned*, const char**) = nullptr;
  int (*step)(void*, const char*, unsigned, void**, const char**, unsigned*) = nullptr;
  int (*server_init)(const Callback*, const char*) = nullptr;
  int (*server_create)(const char*, const char*, const char*, const char*, const char*,
                       const Callback*, unsigned, void**) = nullptr;
  int (*server_start)(void*, const char*, const char*, unsigned, const char**, unsigned*) = nullptr;
  int (*server_step)(void*, const char*, unsigned, const char**, unsigned*) = nullptr;
  int (*set_password)(void*, const char*, const char*, unsigned, const char*, unsigned,
                      unsigned) = nullptr;
  int (*set)(void*, int, const void*) = nullptr;
  int (*get)(void*, int, const void**) = nullptr;
  int (*encode)(void*, const char*, unsigned, const char**, unsigned*) = nullptr;
  int (*decode)(void*, const char*, unsigned, const char**, unsigned*) = nullptr;
  void (*dispose)(void**) = nullptr;
  void (*done)() = nullptr;

  std::array<Callback, 5> callbacks{};

 private:
  template <typename Function>
  bool Find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(handle_, name));
    return *function != nullptr;
  }
  bool Find() {
    return Find("sasl_client_init", &init) && Find("sasl_client_new", &create) &&
           Find("sasl_client_start", &start) && Find("sasl_client_step", &step) &&
           Find("sasl_server_init", &server_init) && Find("sasl_server_new", &server_create) &&
           Find("sasl_server_start", &server_start) && Find("sasl_server_step", &server_step) &&
           Find("sasl_setpass", &set_password) && Find("sasl_setprop", &set) &&
           Find("sasl_getprop", &get) && Find("sasl_encode", &encode) &&
           Find("sasl_decode", &decode) && Find("sasl_dispose", &dispose) &&
           Find("sasl_done", &done);
  }

  void* const handle_;
};

CyrusEnd::CyrusEnd() = default;

CyrusEnd::~CyrusEnd() {
  if (connection_ != nullptr) library_->dispose(&connection_);
}

int CyrusClient::GetName(void* context, int, const char** result, unsigned* bytes) {
  const Account& account = static_cast<CyrusClient*>(context)->account_;
  *result = account.username.c_str();
  if (bytes != nullptr) *bytes = static_cast<unsigned>(account.username.size());
  return kOk;
}

int CyrusClient::GetPassword(void*, void* context, int, void** secret) {
  *secret = static_cast<CyrusClient*>(context)->secret_.data();
  return kOk;
}

int CyrusClient::GetRealm(void* context, int, const char**, const char** result) {
  *result = static_cast<CyrusClient*>(context)->account_.realm.c_str();
  return kOk;
}

std::unique_ptr<CyrusClient> CyrusClient::Create(const Account& account, std::string* why) {
  std::unique_ptr<CyrusClient> client(new CyrusClient());
  client->account_ = account;
  // A length, then the bytes, then a NUL.
  const unsigned long bytes = account.password.size();
  client->secret_.assign(sizeof bytes, '\0');
  std::memcpy(client->secret_.data(), &bytes, sizeof bytes);
  client->secret_ += account.password + '\0';
  if (!client->Connect(why)) return nullptr;
  return client;
}

bool CyrusClient::Connect(std::string* why) {
  library_ = CyrusLibrary::Load();
  if (library_ == nullptr) {
    *why = "libsasl2 is not installed";
    return false;
  }
  library_->callbacks = {{{kUser, reinterpret_cast<Routine>(&GetName), this},
                          {kAuthName, reinterpret_cast<Routine>(&GetName), this},
                          {kPassword, reinterpret_cast<Routine>(&GetPassword), this},
                          {kRealm, reinterpret_cast<Routine>(&GetRealm), this},
                          {kListEnd, nullptr, nullptr}}};
  const SecurityProperties properties;
  void* prompts = nullptr;
  const char* out = nullptr;
  unsigned bytes = 0;
  const char* mechanism = nullptr;
  const bool good =
      library_->init(library_->callbacks.data()) == kOk &&
      library_->create("test", "localhost", nullptr, nullptr, library_->callbacks.data(), 0,
                       &connection_) == kOk &&
      library_->set(connection_, kSecurityProperties, &properties) == kOk &&
      library_->start(connection_, "DIGEST-MD5", &prompts, &out, &bytes, &mechanism) == kContinue;
  if (!good) *why = "libsasl2 has no DIGEST-MD5 (package libsasl2-modules)";
  return good;
}

std::optional<std::string> CyrusClient::Step(std::string_view from_server) {
  void* prompts = nullptr;
  const char* out = nullptr;
  unsigned bytes = 0;
  const int status =
      library_->step(connection_, from_server.data(), static_cast<unsigned>(from_server.size()),
                     &prompts, &out, &bytes);
  if (status != kOk && status != kContinue) return std::nullopt;
  return out == nullptr ? std::string() : std::string(out, bytes);
}

std::optional<std::string> CyrusEnd::Protect(std::string_view message) {
  const char* out = nullptr;
  unsigned bytes = 0;
  if (library_->encode(connection_, message.data(), static_cast<unsigned>(message.size()), &out,
                       &bytes) != kOk) {
    return std::nullopt;
  }
  return std::string(out, bytes);
}

std::optional<std::string> CyrusEnd::Unprotect(std::string_view wire) {
  const char* out = nullptr;
  unsigned bytes = 0;
  if (library_->decode(connection_, wire.data(), static_cast<unsigned>(wire.size()), &out,
                       &bytes) != kOk) {
    return std::nullopt;
  }
  return std::string(out, bytes);
}

// ---- The server

int CyrusServer::GetOption(void* context, const char*, const char* option, const char** result,
                           unsigned* bytes) {
  const std::string_view name = option;
  const char* value = nullptr;
  if (name == "auxprop_plugin") value = "sasldb";
  if (name == "mech_list") value = "DIGEST-MD5";
  if (name == "sasldb_path") value = static_cast<CyrusServer*>(context)->database_.c_str();
  if (value == nullptr) return kFailed;
  *result = value;
  if (bytes != nullptr) *bytes = static_cast<unsigned>(std::strlen(value));
  return kOk;
}

std::unique_ptr<CyrusServer> CyrusServer::Create(const Account& account,
                                                 const std::string& database, std::string* why) {
  std::unique_ptr<CyrusServer> server(new CyrusServer(database));
  if (!server->Listen(account, why)) return nullptr;
  return server;
}

bool CyrusServer::Listen(const Account& account, std::string* why) {
  library_ = CyrusLibrary::Load();
  if (library_ == nullptr) {
    *why = "libsasl2 is not installed";
    return false;
  }
  library_->callbacks = {
      {{kOption, reinterpret_cast<Routine>(&GetOption), this}, {kListEnd, nullptr, nullptr}}};
  const SecurityProperties properties;
  const bool good =
      library_->server_init(library_->callbacks.data(), "ktlsim-test") == kOk &&
      library_->server_create("imap", "localhost", account.realm.c_str(), nullptr, nullptr,
                              library_->callbacks.data(), kSuccessData, &connection_) == kOk &&
      library_->set(connection_, kSecurityProperties, &properties) == kOk &&
      library_->set_password(connection_, account.username.c_str(), account.password.c_str(),
                             static_cast<unsigned>(account.password.size()), nullptr, 0,
                             kCreateAccount) == kOk;
  if (!good) *why = "libsasl2 has no sasldb (package libsasl2-modules-db)";
  return good;
}

std::optional<std::string> CyrusServer::Start() {
  const char* out = nullptr;
  unsigned bytes = 0;
  const int status = library_->server_start(connection_, "DIGEST-MD5", nullptr, 0, &out, &bytes);
  if (status != kContinue || out == nullptr) return std::nullopt;
  return std::string(out, bytes);
}

std::optional<std::string> CyrusServer::Step(std::string_view from_client) {
  const char* out = nullptr;
  unsigned bytes = 0;
  const int status = library_->server_step(connection_, from_client.data(),
                                           static_cast<unsigned>(from_client.size()), &out, &bytes);
  if (status != kOk && status != kContinue) return std::nullopt;
  return out == nullptr ? std::string() : std::string(out, bytes);
}

std::string CyrusServer::Username() const {
  const void* value = nullptr;
  if (library_->get(connection_, kUsernameProperty, &value) != kOk || value == nullptr) return {};
  return static_cast<const char*>(value);
}

}  // namespace ktlsim::digest::test
