// Certificates and credentials for the command's two sides, owned.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <optional>
#include <string>

namespace ktlsim::command {

enum class TlsVersions { k12, k13, k12And13 };

// A reference to a certificate.
class Certificate {
 public:
  Certificate() = default;
  explicit Certificate(PCCERT_CONTEXT context) : context_(context) {}
  Certificate(Certificate&& other) noexcept;
  Certificate& operator=(Certificate&& other) noexcept;
  ~Certificate();

  PCCERT_CONTEXT get() const { return context_; }
  // The leaf as PEM.
  std::string Pem() const;

 private:
  PCCERT_CONTEXT context_ = nullptr;
};

// A credential handle of the TLS package.
class Credential {
 public:
  Credential();
  Credential(Credential&& other) noexcept;
  Credential& operator=(Credential&& other) noexcept;
  ~Credential();

  const CredHandle& handle() const { return handle_; }

 private:
  friend class CredentialMaker;
  CredHandle handle_;
};

struct ServerCredentialOptions {
  TlsVersions versions = TlsVersions::k12And13;
  std::optional<unsigned> tickets;  // none: the library's default
  std::string cipher_suites;        // empty: the library's default
};

struct ClientCredentialOptions {
  TlsVersions versions = TlsVersions::k12And13;
  bool resumption = true;
  std::string cipher_suites;
  std::string trust_pem;  // what the server's certificate must lead to
};

// Passive level. `*error` says in words what failed, and then nothing is answered.
std::optional<Certificate> LoadCertificate(const std::string& cert_file,
                                           const std::string& key_file, std::string* error);
std::optional<Certificate> CreateSelfSigned(const std::string& name, ULONG key_type,
                                            std::string* error);
std::optional<Credential> MakeServerCredential(const Certificate& certificate,
                                               const ServerCredentialOptions& options,
                                               std::string* error);
std::optional<Credential> MakeClientCredential(const ClientCredentialOptions& options,
                                               std::string* error);

}  // namespace ktlsim::command
