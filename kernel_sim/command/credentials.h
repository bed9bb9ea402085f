// Certificates and credentials for the command's two sides, owned.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/setting_places.h"

namespace ktlsim::command {

enum class TlsVersions { k12, k13, k12And13 };
enum class ClientAuth { kNone, kRequest, kRequire };

// A certificate for clients that ask for `name` (SNI).
struct SniCertificate {
  std::string name;
  std::string cert_file;
  std::string key_file;
};

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
  // "has expired (...)" or "is not valid yet (...)"; empty: it is valid now.
  std::string OutOfDate() const;

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
  // Hands the handle to the caller, who frees it.
  CredHandle Release();

 private:
  friend class CredentialMaker;
  CredHandle handle_;
};

struct ServerCredentialOptions {
  TlsVersions versions = TlsVersions::k12And13;
  std::optional<unsigned> tickets;  // none: the library's default
  std::string cipher_suites;        // empty: the library's default
  std::string groups;               // the same
  std::vector<SniCertificate> sni;  // besides the certificate, which is the default
  bool strict_sni = false;          // a name without a certificate gets unrecognized_name
  ClientAuth client_auth = ClientAuth::kNone;
  std::string client_ca_file;               // PEM; for client_auth
  bool serve_expired = false;               // certificates that are out of date
  const CredHandle* sessions_of = nullptr;  // whose sessions are taken over; null: none
  SettingPlaces places;                     // for errors
};

// Further findings of MakeServerCredential.
struct CredentialFindings {
  bool out_of_date = false;           // nothing was made, because the certificate is
  std::vector<std::string> warnings;  // names that were left out, and what is served out of date
};

struct ClientCredentialOptions {
  TlsVersions versions = TlsVersions::k12And13;
  bool resumption = true;
  std::string cipher_suites;
  std::string groups;                    // colon-separated; empty: the library's default
  bool verify = true;                    // the server's certificate
  std::string trust_pem;                 // its trust anchors
  std::string trust_file;                // the same, in a file; both empty: the system's store
  PCCERT_CONTEXT certificate = nullptr;  // the client's own
};

// Passive level. If this fails, `*error` says why in words, and the result is empty.
std::optional<Certificate> LoadCertificate(const std::string& cert_file,
                                           const std::string& key_file, std::string* error);
std::optional<Certificate> CreateSelfSigned(const std::string& name, ULONG key_type,
                                            std::string* error);
std::optional<Credential> MakeServerCredential(const Certificate& certificate,
                                               const ServerCredentialOptions& options,
                                               std::string* error,
                                               CredentialFindings* findings = nullptr);
// For server credentials that are acquired elsewhere: what the acquisition takes but for the
// certificate, and what is set on the handle then. Empty: done; else why not. The certificates of
// `sni`, `strict_sni` and `sessions_of` are not looked at.
void FillServerAuth(const ServerCredentialOptions& options, SCH_CREDENTIALS* auth,
                    TLS_PARAMETERS* parameters);
std::string CompleteServerCredential(const CredHandle& credential,
                                     const ServerCredentialOptions& options);
std::optional<Credential> MakeClientCredential(const ClientCredentialOptions& options,
                                               std::string* error);

}  // namespace ktlsim::command
