#include "tls/handshake/ssl_callbacks.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>

#include "tls/handshake/endpoint_core.h"
#include "tls/handshake/peer_judgement.h"
#include "tls/handshake/resumption.h"
#include "tls/handshake/ssl_connection.h"

namespace ktlsim::tls {
namespace {

constexpr int kTicketIvBytes = 16;

void OnKeyLog(const SSL* ssl, const char* line) { SslConnection::Of(ssl).KeyLogLine(line); }

void OnInfo(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) == 0) return;
  SslConnection::Of(ssl).NoteAlert(
      (where & SSL_CB_WRITE) != 0,
      {static_cast<AlertLevel>(value >> 8 & 0xff), static_cast<AlertDescription>(value & 0xff)});
}

// RFC 7301 3.2, in our order of preference.
int OnAlpnSelect(SSL* ssl, const unsigned char** out, unsigned char* out_bytes,
                 const unsigned char* offered, unsigned offered_bytes, void*) {
  const auto& own = SslConnection::Of(ssl).options().alpn_wire;
  if (own.empty()) return SSL_TLSEXT_ERR_NOACK;
  for (std::size_t i = 0; i < own.size(); i += 1U + own[i]) {
    for (unsigned k = 0; k < offered_bytes; k += 1U + offered[k]) {
      if (own[i] == offered[k] && std::memcmp(&own[i] + 1, offered + k + 1, own[i]) == 0) {
        *out = offered + k + 1;
        *out_bytes = offered[k];
        return SSL_TLSEXT_ERR_OK;
      }
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// The host name in the ClientHello (RFC 6066 3). Empty: none, or a list that OpenSSL will refuse by
// itself a moment later, with the alert it deserves.
std::string_view HostNameIn(SSL* ssl) {
  constexpr std::size_t kNameAt = 5;  // the list's length (2), the name's type (1) and length (2)
  const unsigned char* list = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &list, &size) != 1 ||
      size <= kNameAt) {
    return {};
  }
  const auto number = [list](std::size_t at) {
    return std::size_t{list[at]} << 8 | std::size_t{list[at + 1]};
  };
  const std::string_view name(reinterpret_cast<const char*>(list) + kNameAt, size - kNameAt);
  const bool plain = number(0) == size - 2 && list[2] == TLSEXT_NAMETYPE_host_name &&
                     number(3) == name.size() && name.size() <= TLSEXT_MAXLEN_host_name &&
                     name.find('\0') == std::string_view::npos;
  return plain ? name : std::string_view();
}

// The certificate is chosen here, and not when the name has been parsed: OpenSSL looks a session up
// in between, and a session of another name must not be found. This is also the only place at which
// a server can wait for the session.
int OnClientHello(SSL* ssl, int* alert, void*) {
  try {
    SslConnection& connection = SslConnection::Of(ssl);
    const auto refused = connection.ChooseIdentity(HostNameIn(ssl));
    if (!refused) {
      connection.MeetTicketKeys();
      return connection.FindSession() ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
    }
    *alert = static_cast<int>(*refused);
  } catch (const std::bad_alloc&) {
    *alert = SSL_AD_INTERNAL_ERROR;
  }
  return SSL_CLIENT_HELLO_ERROR;
}

// -1: OpenSSL asks again when the handshake goes on.
int OnCertificateWanted(SSL* ssl, void*) {
  switch (SslConnection::Of(ssl).ChooseCertificate()) {
    case SslConnection::CertificateChoice::kGoesOn:
      return 1;
    case SslConnection::CertificateChoice::kStops:
      return -1;
    case SslConnection::CertificateChoice::kFails:
      return 0;
  }
  return 0;
}

int OnServerName(SSL* ssl, int*, void*) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  try {
    SslConnection::Of(ssl).NoteServerName(name);
    return SSL_TLSEXT_ERR_OK;
  } catch (const std::bad_alloc&) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
}

// 0: OpenSSL keeps its reference, we keep a copy.
int OnNewSession(SSL* ssl, SSL_SESSION* session) {
  SslConnection& connection = SslConnection::Of(ssl);
  EndpointCore& core = connection.core();
  if (!connection.resumable()) return 0;
  try {
    if (core.options().role == Role::kServer) {
      // In TLS 1.3 it is in the ticket.
      if (SSL_version(ssl) == TLS1_2_VERSION) core.StoreServerSession(ssl, session);
      return 0;
    }
    ClientSession stored = core.CopySession(ssl, *session);
    if (stored.session != nullptr) {
      core.options().client_sessions->Put(connection.session_key(), std::move(stored));
      connection.NoteTicketStored();
    }
  } catch (const std::bad_alloc&) {
    return 0;  // one session less
  }
  return 0;
}

SSL_SESSION* OnGetSession(SSL* ssl, const unsigned char* id, int size, int* copy) {
  *copy = 0;  // the caller gets our only reference
  SslConnection& connection = SslConnection::Of(ssl);
  SSL_SESSION* const session = connection.search().Take({id, static_cast<std::size_t>(size)});
  if (session == nullptr ||
      JudgeResumption(connection.core(), ssl, *session) == ResumptionVerdict::kGood) {
    return session;
  }
  SSL_SESSION_free(session);
  return nullptr;
}

void OnRemoveSession(SSL_CTX* context, SSL_SESSION* session) {
  static_cast<EndpointCore*>(SSL_CTX_get_app_data(context))->RemoveServerSession(session);
}

bool SetTicketMac(EVP_MAC_CTX* mac, const TicketKey& key) {
  char digest[] = "SHA256";
  Secret mac_key = key.mac_key;  // the parameter wants a pointer to non-const
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key.span().data(), mac_key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int SealTicket(const TicketKey& key, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac) {
  std::ranges::copy(key.name, name);
  const bool good = RAND_bytes(iv, kTicketIvBytes) == 1 &&
                    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr,
                                       key.encryption_key.span().data(), iv) == 1 &&
                    SetTicketMac(mac, key);
  return good ? 1 : -1;
}

// 0: not one of our keys. 1: good. 2: good, send a fresh ticket.
int OpenTicket(SSL* ssl, const TicketKeyRing& ring, const unsigned char* name, unsigned char* iv,
               EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  const TicketKey* const key = ring.Find({name, TicketKey::kNameBytes});
  if (key == nullptr) return 0;
  if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->encryption_key.span().data(),
                         iv) != 1 ||
      !SetTicketMac(mac, *key)) {
    return -1;
  }
  const TicketKey* const sealing = ring.sealing();
  // A TLS 1.3 ticket is used once, so every connection gets a new one.
  const bool lasts = SSL_version(ssl) != TLS1_3_VERSION && (sealing == nullptr || sealing == key);
  return lasts ? 1 : 2;
}

int OnTicketKey(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac, int seal) {
  SslConnection& connection = SslConnection::Of(ssl);
  const TicketKeyRing& ring = connection.ticket_keys();
  if (seal == 0) return OpenTicket(ssl, ring, name, iv, cipher, mac);
  const TicketKey* const key = connection.resumable() ? ring.sealing() : nullptr;
  return key != nullptr ? SealTicket(*key, name, iv, cipher, mac)
                        : 0;  // an empty ticket (RFC 5077 3.3)
}

// Before a ticket is sealed, in either version.
int OnTicketMade(SSL* ssl, void*) {
  return DateSession(SslConnection::Of(ssl).core(), ssl, SSL_get_session(ssl)) ? 1 : 0;
}

// After one was opened. A ticket that is not used gets a full handshake and a fresh ticket.
SSL_TICKET_RETURN OnTicketOpened(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t,
                                 SSL_TICKET_STATUS status, void*) {
  const bool opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
  if (!opened || session == nullptr ||
      JudgeResumption(SslConnection::Of(ssl).core(), ssl, *session) != ResumptionVerdict::kGood) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

// Called before each record is written and after each is read, and for each message in it.
void OnMessage(int written, int, int type, const void* data, std::size_t size, SSL* ssl, void*) {
  constexpr std::size_t kEmptyBytesMax = 8;  // header, no context, no list (RFC 8446 4.4.2)
  SslConnection& connection = SslConnection::Of(ssl);
  connection.NoteMemory();
  if (written == 1 && type == SSL3_RT_HANDSHAKE && size != 0 && size <= kEmptyBytesMax &&
      *static_cast<const unsigned char*>(data) == SSL3_MT_CERTIFICATE) {
    connection.NoteEmptyCertificate();
  }
}

}  // namespace

Status InstallCallbacks(SSL_CTX* context, const EndpointOptions& options) {
  SSL_CTX_set_keylog_callback(context, &OnKeyLog);
  SSL_CTX_set_info_callback(context, &OnInfo);
  SSL_CTX_set_msg_callback(context, &OnMessage);
  SSL_CTX_set_cert_verify_callback(context,
                                   options.verification == PeerVerification::kNone
                                       ? &AcceptPeerCertificate
                                       : &JudgePeerCertificate,
                                   nullptr);
  if (SSL_CTX_get_session_cache_mode(context) != SSL_SESS_CACHE_OFF) {
    SSL_CTX_sess_set_new_cb(context, &OnNewSession);
  }
  if (options.role == Role::kClient) {
    SSL_CTX_set_cert_cb(context, &OnCertificateWanted, nullptr);
    return {};
  }
  SSL_CTX_set_client_hello_cb(context, &OnClientHello, nullptr);
  SSL_CTX_set_alpn_select_cb(context, &OnAlpnSelect, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, &OnServerName);
  if (!options.resumption) return {};
  SSL_CTX_sess_set_get_cb(context, &OnGetSession);
  SSL_CTX_sess_set_remove_cb(context, &OnRemoveSession);
  if (options.tickets == 0) return {};
  if (SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &OnTicketKey) != 1 ||
      SSL_CTX_set_session_ticket_cb(context, &OnTicketMade, &OnTicketOpened, nullptr) != 1) {
    return ResourceError("no memory for an SSL_CTX");
  }
  return {};
}

}  // namespace ktlsim::tls
