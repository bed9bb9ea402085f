#include "tls/handshake/local_certificates.h"

#include <algorithm>
#include <utility>

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "kernel_sim/base/memory_watch.h"
#include "tls/crypto_failure.h"
#include "tls/handshake/endpoint.h"
#include "tls/handshake/ssl_handles.h"
#include "tls/identity/usable_key.h"

namespace ktlsim::tls {
namespace {

Status Contract(const char* what) { return {Category::kContract, 0, what}; }

// Why OpenSSL refused the certificate that it was given last.
std::string WhyRefused() {
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
      return "its key is too short; RSA needs 2048 bits";
    case SSL_R_CA_KEY_TOO_SMALL:
      return "the key of one of its issuers is too short; RSA needs 2048 bits";
    case SSL_R_CA_MD_TOO_WEAK:
      return "it or one of its issuers is signed with a digest that is too weak, such as SHA-1";
    default:
      return "OpenSSL refuses the certificate or its key";
  }
}

X509Ptr ParseDer(const Certificate::Der& der) {
  const unsigned char* at = der.data();
  return X509Ptr(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

}  // namespace

Status LocalCertificates::Load(const EndpointOptions& options, SSL_CTX* context,
                               std::string* message) {
  strict_ = options.strict_server_names;
  // Certificates other than the default are tried on a context of their own, because an SSL_CTX
  // presents every one that it holds.
  const SslCtxPtr trial(SSL_CTX_new(TLS_method()));
  if (trial == nullptr) return ResourceError("no memory for an SSL_CTX");
  const KeyUse use{options.role, options.versions.max, options.cipher_suites};
  SSL_CTX_set_security_level(trial.get(), SSL_CTX_get_security_level(context));
  const auto give = [](SSL_CTX* in, const Loaded& loaded) {
    return SSL_CTX_use_cert_and_key(in, loaded.leaf.get(), loaded.certificate->private_key(),
                                    loaded.issuers.get(), 1) == 1;
  };
  for (const Certificate::Ptr& certificate : options.certificates) {
    Loaded& loaded = loaded_.emplace_back();
    const Status status = Parse(certificate, &loaded);
    if (!status.ok()) return status;
    const MemoryWatch watch;
    std::string why = WhyUnusable(*loaded.leaf, *certificate->private_key(), use);
    if (why.empty() && !give(trial.get(), loaded)) why = WhyRefused();
    if (!why.empty()) {
      const Status refused = watch.ran_out() ? ResourceError("no memory for a certificate")
                                             : CryptoFailure("a certificate cannot be used");
      if (refused.category() == Category::kCrypto) {
        *message = "the certificate for " + certificate->subject() + ": " + why;
      }
      ERR_clear_error();
      return refused;
    }
  }
  if (options.role == Role::kClient) return {};
  const Status status = NameThem(options);
  if (!status.ok()) return status;
  ChooseDefault(options);
  for (const std::uint32_t place : default_) {
    if (!give(context, loaded_[place])) {
      ERR_clear_error();
      return ResourceError("no memory for a certificate");
    }
  }
  return {};
}

Status LocalCertificates::Parse(const Certificate::Ptr& certificate, Loaded* loaded) const {
  if (certificate == nullptr || !certificate->has_private_key()) {
    return Contract("a certificate without its private key cannot be used");
  }
  loaded->certificate = certificate;
  loaded->leaf = ParseDer(certificate->chain().front());
  loaded->issuers.reset(sk_X509_new_null());
  if (loaded->issuers == nullptr) return ResourceError("no memory for a certificate");
  if (loaded->leaf == nullptr) return CryptoFailure("the certificate is damaged");
  for (std::size_t i = 1; i < certificate->chain().size(); ++i) {
    X509Ptr issuer = ParseDer(certificate->chain()[i]);
    if (issuer == nullptr) return CryptoFailure("a certificate in the chain is damaged");
    if (sk_X509_push(loaded->issuers.get(), issuer.get()) == 0) return ResourceError("no memory");
    // NOLINTNEXTLINE(bugprone-unused-return-value): the stack has it now
    static_cast<void>(issuer.release());
  }
  loaded->key_kind = EVP_PKEY_get_base_id(certificate->private_key());
  return {};
}

Status LocalCertificates::NameThem(const EndpointOptions& options) {
  for (const ServerName& name : options.server_names) {
    if (name.certificate >= loaded_.size()) return Contract("a name for no certificate");
    if (!names_.Add(name.name, name.certificate, ServerNameTable::Source::kCaller)) {
      return Contract("a server name is malformed");
    }
  }
  for (std::uint32_t place = 0; place < loaded_.size(); ++place) {
    // A malformed name in a certificate is not used, and is no reason to refuse the certificate.
    for (const std::string& name : loaded_[place].certificate->dns_names()) {
      static_cast<void>(names_.Add(name, place, ServerNameTable::Source::kCertificate));
    }
  }
  return {};
}

void LocalCertificates::ChooseDefault(const EndpointOptions& options) {
  if (loaded_.empty()) return;
  const auto& names = options.certificates.front()->dns_names();
  ServerNameTable::Places places = {0};
  for (std::uint32_t place = 1; place < loaded_.size() && !names.empty(); ++place) {
    const auto& others = loaded_[place].certificate->dns_names();
    if (std::ranges::find(others, names.front()) != others.end()) places.push_back(place);
  }
  default_ = OnePerKind(places);
}

ServerNameTable::Places LocalCertificates::OnePerKind(const ServerNameTable::Places& places) const {
  ServerNameTable::Places chosen;
  for (const std::uint32_t place : places) {
    const int kind = loaded_[place].key_kind;
    if (std::ranges::none_of(chosen, [&](auto other) { return loaded_[other].key_kind == kind; })) {
      chosen.push_back(place);
    }
  }
  return chosen;
}

ServerNameTable::Places LocalCertificates::PlacesFor(std::string_view server_name) const {
  const ServerNameTable::Places* places = server_name.empty() ? nullptr : names_.Find(server_name);
  return places != nullptr ? OnePerKind(*places) : default_;
}

std::vector<const Certificate*> LocalCertificates::AnswerTo(std::string_view server_name) const {
  std::vector<const Certificate*> certificates;
  for (const std::uint32_t place : PlacesFor(server_name)) {
    certificates.push_back(loaded_[place].certificate.get());
  }
  return certificates;
}

LocalCertificates::Choice LocalCertificates::ChooseForName(SSL* ssl,
                                                           std::string_view server_name) const {
  if (server_name.empty()) return Choice::kMade;
  if (strict_ && names_.Find(server_name) == nullptr) return Choice::kNoneFits;
  const ServerNameTable::Places chosen = PlacesFor(server_name);
  if (chosen == default_) return Choice::kMade;
  SSL_certs_clear(ssl);
  for (const std::uint32_t place : chosen) {
    const Loaded& loaded = loaded_[place];
    if (SSL_use_cert_and_key(ssl, loaded.leaf.get(), loaded.certificate->private_key(),
                             loaded.issuers.get(), 1) != 1) {
      return Choice::kFailed;
    }
  }
  return Choice::kMade;
}

LocalCertificates::Choice LocalCertificates::ChooseForRequest(SSL* ssl, bool any_issuer) const {
  // To SSL_check_chain a certificate for which there is no memory is one that does not fit.
  const MemoryWatch watch;
  for (const Loaded& loaded : loaded_) {
    EVP_PKEY* key = loaded.certificate->private_key();
    const int fit = SSL_check_chain(ssl, loaded.leaf.get(), key, loaded.issuers.get());
    if (watch.ran_out()) return Choice::kFailed;
    ERR_clear_error();
    const bool issuer_fits = any_issuer || (fit & CERT_PKEY_ISSUER_NAME) != 0;
    if ((fit & CERT_PKEY_VALID) == 0 || !issuer_fits) continue;
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, loaded.leaf.get(), key, loaded.issuers.get(), 1) == 1
               ? Choice::kMade
               : Choice::kFailed;
  }
  return Choice::kNoneFits;
}

Certificate::Ptr LocalCertificates::Find(const X509* leaf) const {
  const auto found =
      std::ranges::find_if(loaded_, [leaf](const Loaded& one) { return one.leaf.get() == leaf; });
  return found != loaded_.end() ? found->certificate : nullptr;
}

}  // namespace ktlsim::tls
