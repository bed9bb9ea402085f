#include "tests/digest/cyrus_sasl.h"

#include <dlfcn.h>

#include <array>
#include <cstring>

namespace ktlsim::digest::test {
namespace {

constexpr int kOk = 0;
constexpr int kContinue = 1;
constexpr unsigned long kListEnd = 0;
constexpr unsigned long kUser = 0x4001;
constexpr unsigned long kAuthName = 0x4002;
constexpr unsigned long kPassword = 0x4004;
constexpr unsigned long kRealm = 0x4008;
constexpr int kSecurityProperties = 101;

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
class CyrusClient::Library {
 public:
  static std::unique_ptr<Library> Load() {
    auto library = std::make_unique<Library>();
    return library->handle_ != nullptr && library->Find() ? std::move(library) : nullptr;
  }
  Library() : handle_(dlopen("libsasl2.so.2", RTLD_NOW | RTLD_LOCAL)) {}
  ~Library() {
    if (done != nullptr) done();
    if (handle_ != nullptr) dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  int (*init)(const Callback*) = nullptr;
  int (*create)(const char*, const char*, const char*, const char*, const Callback*, unsigned,
                void**) = nullptr;
  int (*set)(void*, int, const void*) = nullptr;
  int (*start)(void*, const char*, void**, const char**, unsigned*, const char**) = nullptr;
  int (*step)(void*, const char*, unsigned, void**, const char**, unsigned*) = nullptr;
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
           Find("sasl_setprop", &set) && Find("sasl_client_start", &start) &&
           Find("sasl_client_step", &step) && Find("sasl_encode", &encode) &&
           Find("sasl_decode", &decode) && Find("sasl_dispose", &dispose) &&
           Find("sasl_done", &done);
  }

  void* const handle_;
};

CyrusClient::CyrusClient() = default;

CyrusClient::~CyrusClient() {
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
  library_ = Library::Load();
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

std::optional<std::string> CyrusClient::Protect(std::string_view message) {
  const char* out = nullptr;
  unsigned bytes = 0;
  if (library_->encode(connection_, message.data(), static_cast<unsigned>(message.size()), &out,
                       &bytes) != kOk) {
    return std::nullopt;
  }
  return std::string(out, bytes);
}

std::optional<std::string> CyrusClient::Unprotect(std::string_view wire) {
  const char* out = nullptr;
  unsigned bytes = 0;
  if (library_->decode(connection_, wire.data(), static_cast<unsigned>(wire.size()), &out,
                       &bytes) != kOk) {
    return std::nullopt;
  }
  return std::string(out, bytes);
}

}  // namespace ktlsim::digest::test
