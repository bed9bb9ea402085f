#include "kernel_sim/command/credentials.h"

#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "kernel_sim/command/acquisition.h"
#include "kernel_sim/command/key_log_file.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

std::string Failure(const char* what, SECURITY_STATUS status) {
  return fmt::format("{}: {} ({:#010x})", what, transport::StatusName(status),
                     static_cast<std::uint32_t>(status));
}

DWORD DisabledProtocols(TlsVersions versions) {
  switch (versions) {
    case TlsVersions::k12:
      return SP_PROT_TLS1_3;
    case TlsVersions::k13:
      return SP_PROT_TLS1_2;
    case TlsVersions::k12And13:
      break;
  }
  return 0;
}

// The attribute for trust anchors names a file. This one lives in memory only.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& content)
      : descriptor_(memfd_create("ktlsim-trust", MFD_CLOEXEC)) {
    if (descriptor_ < 0) return;
    const ssize_t written = write(descriptor_, content.data(), content.size());
    whole_ = written == static_cast<ssize_t>(content.size());
  }
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  bool ok() const { return whole_; }
  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
  bool whole_ = false;
};

std::string TimeText(const ASN1_TIME* time) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  if (bio == nullptr || ASN1_TIME_print(bio.get(), time) != 1) return "?";
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(bytes)};
}

bool IsNull(const CredHandle& handle) { return handle.dwLower == 0 && handle.dwUpper == 0; }

CredHandle NullHandle() {
  CredHandle handle{};
  return handle;
}

}  // namespace

Certificate::Certificate(Certificate&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

Certificate& Certificate::operator=(Certificate&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Certificate::~Certificate() { CertFreeCertificateContext(context_); }

std::string Certificate::Pem() const {
  if (context_ == nullptr) return {};
  std::string base64(4 * ((context_->cbCertEncoded + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()), context_->pbCertEncoded,
                      static_cast<int>(context_->cbCertEncoded));
  base64.resize(static_cast<std::size_t>(length));
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t at = 0; at < base64.size(); at += 64) pem += base64.substr(at, 64) + "\n";
  return pem + "-----END CERTIFICATE-----\n";
}

std::string Certificate::OutOfDate() const {
  if (context_ == nullptr) return {};
  const unsigned char* at = context_->pbCertEncoded;
  const std::unique_ptr<X509, decltype(&X509_free)> leaf(
      d2i_X509(nullptr, &at, static_cast<long>(context_->cbCertEncoded)), &X509_free);
  if (leaf == nullptr) return {};
  const ASN1_TIME* const end = X509_get0_notAfter(leaf.get());
  const ASN1_TIME* const begin = X509_get0_notBefore(leaf.get());
  if (X509_cmp_current_time(end) < 0) return "has expired (" + TimeText(end) + ")";
  if (X509_cmp_current_time(begin) > 0) return "is not valid yet (" + TimeText(begin) + ")";
  return {};
}

Credential::Credential() : handle_(NullHandle()) {}

Credential::Credential(Credential&& other) noexcept
    : handle_(std::exchange(other.handle_, NullHandle())) {}

Credential& Credential::operator=(Credential&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

CredHandle Credential::Release() { return std::exchange(handle_, NullHandle()); }

Credential::~Credential() {
  if (!IsNull(handle_)) FreeAndWait(handle_);
}

constexpr DWORD kSessionLifespanMs = 2 * 3600 * 1000;

// Acquires a handle and sets its attributes; the first failure is kept in words.
class CredentialMaker {
 public:
  CredentialMaker(ULONG use, SCH_CREDENTIALS auth, PCCERT_CONTEXT certificate) {
    auth.cCreds = certificate != nullptr ? 1 : 0;
    auth.paCred = certificate != nullptr ? &certificate : nullptr;
    CredHandle handle{};
    Note("AcquireCredentialsHandle", AcquireAndWait(use, &auth, &handle));
    if (error_.empty()) credential_.handle_ = handle;
    SetKeyLog();
  }
  // For a handle that there is; ReleaseTo must follow.
  explicit CredentialMaker(const CredHandle& handle) {
    credential_.handle_ = handle;
    SetKeyLog();
  }

  template <typename Attribute>
  void Set(const std::string& what, ULONG number, Attribute value) {
    if (!error_.empty()) return;
    Note(what, SetCredentialsAttributesA(&credential_.handle_, number, &value, sizeof(Attribute)));
  }

  void SetGroups(const std::string& groups, const SettingPlaces& places) {
    if (groups.empty()) return;
    Set(places.Of("groups") + ": X25519, P-256, P-384, P-521, X448, with colons between them",
        KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{groups.c_str()});
  }

  void SetTrust(const std::string& path) {
    Set("the trusted certificates", KTLSIM_ATTR_TRUST, KtlsimCred_Trust{path.c_str()});
  }

  void SetSuites(const std::string& suites, const SettingPlaces& places) {
    if (suites.empty()) return;
    Set(places.Of("cipher-suites") + ": `openssl ciphers -s` lists the names",
        KTLSIM_ATTR_CIPHER_SUITES, KtlsimCred_CipherSuites{suites.c_str()});
  }

  std::optional<Credential> Take(std::string* error) {
    if (error_.empty()) return std::move(credential_);
    *error = error_;
    return {};
  }
  // Leaves the handle to its owner.
  std::string Leave() {
    static_cast<void>(credential_.Release());
    return error_;
  }

 private:
  void SetKeyLog() {
    if (KeyLogFile* const log = KeyLogFile::InUse()) {
      Set("the key log", KTLSIM_ATTR_KEY_LOG, KtlsimCred_KeyLog{&KeyLogFile::OnLine, log});
    }
  }
  void Note(const std::string& what, SECURITY_STATUS status) {
    if (status == SEC_E_OK) return;
    error_ = Failure(what.c_str(), status);
    const std::string why = KtlsimLastErrorText();
    if (!why.empty()) error_ += ": " + why;
  }

  Credential credential_;
  std::string error_;
};

namespace {

void FillAuth(TlsVersions versions, DWORD flags, SCH_CREDENTIALS* auth,
              TLS_PARAMETERS* parameters) {
  *parameters = {};
  parameters->grbitDisabledProtocols = DisabledProtocols(versions);
  *auth = {};
  auth->dwVersion = SCH_CREDENTIALS_VERSION;
  auth->dwFlags = flags;
  auth->dwSessionLifespan = kSessionLifespanMs;
  auth->cTlsParameters = 1;
  auth->pTlsParameters = parameters;
}

// What every server credential of a listener has.
void SetServerAttributes(CredentialMaker& maker, const ServerCredentialOptions& options) {
  if (options.tickets) {
    maker.Set("tickets", KTLSIM_ATTR_TICKETS, KtlsimCred_Tickets{*options.tickets});
  }
  if (options.client_auth != ClientAuth::kNone) {
    maker.Set(options.places.Of("client-ca"), KTLSIM_ATTR_CLIENT_AUTH,
              KtlsimCred_ClientAuth{options.client_auth == ClientAuth::kRequire
                                        ? ULONG{KTLSIM_CLIENT_AUTH_REQUIRE}
                                        : ULONG{KTLSIM_CLIENT_AUTH_REQUEST},
                                    options.client_ca_file.c_str()});
  }
  maker.SetSuites(options.cipher_suites, options.places);
  maker.SetGroups(options.groups, options.places);
}

}  // namespace

void FillServerAuth(const ServerCredentialOptions& options, SCH_CREDENTIALS* auth,
                    TLS_PARAMETERS* parameters) {
  FillAuth(options.versions, options.serve_expired ? DWORD{KTLSIM_CRED_ACCEPT_EXPIRED} : 0, auth,
           parameters);
}

std::string CompleteServerCredential(const CredHandle& credential,
                                     const ServerCredentialOptions& options) {
  CredentialMaker maker(credential);
  SetServerAttributes(maker, options);
  return maker.Leave();
}

std::optional<Certificate> LoadCertificate(const std::string& cert_file,
                                           const std::string& key_file, std::string* error) {
  PCCERT_CONTEXT context = nullptr;
  if (KtlsimLoadCertificate(cert_file.c_str(), key_file.c_str(), &context) == SEC_E_OK) {
    return Certificate(context);
  }
  *error = KtlsimLastErrorText();
  return {};
}

std::optional<Certificate> CreateSelfSigned(const std::string& name, ULONG key_type,
                                            std::string* error) {
  PCCERT_CONTEXT context = nullptr;
  const SECURITY_STATUS status =
      KtlsimCreateSelfSignedCertificate(name.c_str(), key_type, &context);
  if (status == SEC_E_OK) return Certificate(context);
  *error = Failure("the certificate cannot be made", status) + ": " + KtlsimLastErrorText();
  return {};
}

std::optional<Credential> MakeServerCredential(const Certificate& certificate,
                                               const ServerCredentialOptions& options,
                                               std::string* error, CredentialFindings* findings) {
  CredentialFindings found;
  const std::string late = certificate.OutOfDate();
  if (!late.empty() && !options.serve_expired) {
    found.out_of_date = true;
    *error = "the certificate " + late + "; renew it, or serve it all the same (--expired serve)";
    if (findings != nullptr) *findings = found;
    return {};
  }
  if (!late.empty()) found.warnings.push_back("the certificate " + late + " and is served");
  std::vector<Certificate> certificates;
  std::vector<KtlsimCred_ServerName> names;
  for (const SniCertificate& sni : options.sni) {
    const std::string value = sni.name + "=" + sni.cert_file + "," + sni.key_file;
    const std::string place = options.places.Of("sni", value) + ": " + sni.name + ": ";
    std::optional<Certificate> named = LoadCertificate(sni.cert_file, sni.key_file, error);
    if (!named) {
      *error = place + *error;
      return {};
    }
    if (const std::string named_late = named->OutOfDate(); !named_late.empty()) {
      found.warnings.push_back(fmt::format("{}the certificate {} and is {}", place, named_late,
                                           options.serve_expired ? "served" : "left out"));
      if (!options.serve_expired) continue;
    }
    names.push_back({sni.name.c_str(), named->get()});
    certificates.push_back(std::move(*named));
  }
  if (findings != nullptr) *findings = found;
  SCH_CREDENTIALS auth;
  TLS_PARAMETERS parameters;
  FillServerAuth(options, &auth, &parameters);
  CredentialMaker maker(SECPKG_CRED_INBOUND, auth, certificate.get());
  if (!names.empty() || options.strict_sni) {
    maker.Set(options.places.Of(names.empty() ? "strict-sni" : "sni"), KTLSIM_ATTR_SERVER_NAMES,
              KtlsimCred_ServerNames{static_cast<ULONG>(names.size()), names.data(),
                                     options.strict_sni ? ULONG{KTLSIM_SERVER_NAMES_STRICT} : 0});
  }
  SetServerAttributes(maker, options);
  if (options.sessions_of != nullptr) {
    CredHandle from = *options.sessions_of;
    maker.Set("the sessions of before", KTLSIM_ATTR_SESSIONS, KtlsimCred_Sessions{&from});
  }
  return maker.Take(error);
}

std::optional<Credential> MakeClientCredential(const ClientCredentialOptions& options,
                                               std::string* error) {
  DWORD flags = SCH_CRED_NO_DEFAULT_CREDS |
                (options.verify ? SCH_CRED_AUTO_CRED_VALIDATION : SCH_CRED_MANUAL_CRED_VALIDATION);
  if (!options.resumption) flags |= SCH_CRED_DISABLE_RECONNECTS;
  SCH_CREDENTIALS auth;
  TLS_PARAMETERS parameters;
  FillAuth(options.versions, flags, &auth, &parameters);
  CredentialMaker maker(SECPKG_CRED_OUTBOUND, auth, options.certificate);
  if (!options.trust_pem.empty()) {
    const MemoryFile trust(options.trust_pem);
    if (!trust.ok()) {
      *error = "no memory file for the trusted certificate";
      return {};
    }
    maker.SetTrust(trust.path());
  } else if (!options.trust_file.empty()) {
    maker.SetTrust(options.trust_file);
  }
  maker.SetGroups(options.groups, {});
  maker.SetSuites(options.cipher_suites, {});
  return maker.Take(error);
}

}  // namespace ktlsim::command
