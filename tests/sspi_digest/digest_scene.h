// A server and its clients of Digest through the public functions, for tests.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/challenge.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/digest/response.h"
#include "tests/support/sspi_async.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::test {

inline constexpr auto kLogonFailure = static_cast<SECURITY_STATUS>(0xC000006D);
inline constexpr std::string_view kRealm = "http-auth@example.org";

inline std::string Hash(digest::HashId id, std::string_view text) {
  digest::Hasher hasher(id);
  digest::HashValue value;
  EXPECT_TRUE(hasher.Hash({text}, &value));
  return std::string(digest::HexText(value).view());
}

// A line of a file of users.
inline std::string UserLine(const std::string& user, const std::string& password,
                            digest::HashId id = digest::HashId::kMd5,
                            std::string_view realm = kRealm) {
  const std::string prefix = id == digest::HashId::kMd5      ? ""
                             : id == digest::HashId::kSha256 ? "SHA-256:"
                                                             : "SHA-512-256:";
  const std::string account = user + ":" + std::string(realm);
  return prefix + account + ":" + Hash(id, account + ":" + password) + "\n";
}

inline bool SameHandle(const CtxtHandle& a, const CtxtHandle& b) {
  return a.dwLower == b.dwLower && a.dwUpper == b.dwUpper;
}

// A credential of WDigest, inbound or outbound.
class DigestHandle {
 public:
  DigestHandle(ULONG use, void* auth_data) {
    SecInvalidateHandle(&handle_);
    char name[] = WDIGEST_SP_NAME_A;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, use, nullptr, auth_data, nullptr, nullptr,
                                        &handle_, nullptr),
              SEC_E_OK)
        << KtlsimLastErrorText();
  }
  DigestHandle(const DigestHandle&) = delete;
  DigestHandle& operator=(const DigestHandle&) = delete;
  ~DigestHandle() {
    if (SecIsValidHandle(&handle_)) {
      EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK);
    }
  }
  PCredHandle get() { return &handle_; }

 private:
  CredHandle handle_;
};

// What a request is, to a server and to a client.
struct Request {
  std::string method = "GET";
  std::string uri = "/dir/index.html";
  std::string entity_hash{};  // empty: none
};

// The buffers of AcceptSecurityContext, CompleteAuthToken and VerifySignature.
class ServerInput {
 public:
  ServerInput(std::string token, const Request& request, std::string_view realm = {})
      : token_(std::move(token)), request_(request) {
    for (const char c : realm) realm_.push_back(static_cast<unsigned char>(c));
    Set(0, SECBUFFER_TOKEN, token_);
    Set(1, SECBUFFER_PKG_PARAMS, request_.method);
    Set(2, SECBUFFER_PKG_PARAMS, request_.uri);
    Set(3, SECBUFFER_PKG_PARAMS, request_.entity_hash);
    buffers_[4] = {static_cast<ULONG>(2 * realm_.size()), SECBUFFER_PKG_PARAMS,
                   realm_.empty() ? nullptr : realm_.data()};
    description_ = {SECBUFFER_VERSION, 5, buffers_.data()};
  }
  ServerInput(const ServerInput&) = delete;
  ServerInput& operator=(const ServerInput&) = delete;
  PSecBufferDesc get() { return &description_; }
  // Without the URL.
  void OmitUri() { buffers_[2] = {0, SECBUFFER_PKG_PARAMS, nullptr}; }
  void Add(SecBuffer buffer) {
    buffers_[5] = buffer;
    description_.cBuffers = 6;
  }

 private:
  void Set(std::size_t i, ULONG type, std::string& text) {
    buffers_[i] = {static_cast<ULONG>(text.size()), type, text.empty() ? nullptr : text.data()};
  }

  std::string token_;
  Request request_;
  std::u16string realm_;
  std::array<SecBuffer, 6> buffers_{};
  SecBufferDesc description_{};
};

// The five buffers of MakeSignature, and of a client's VerifySignature.
class SignatureBuffers {
 public:
  SignatureBuffers(std::string token, Request request, std::size_t room_bytes)
      : token_(std::move(token)), request_(std::move(request)), room_(room_bytes, '\0') {}
  // With what is in the padding.
  SignatureBuffers(std::string token, Request request, std::string padding)
      : token_(std::move(token)), request_(std::move(request)), room_(std::move(padding)) {}
  SignatureBuffers(const SignatureBuffers&) = delete;
  SignatureBuffers& operator=(const SignatureBuffers&) = delete;

  SECURITY_STATUS Make(CtxtHandle context, std::string* made) {
    const SECURITY_STATUS status = MakeSignature(&context, 0, &message_, 0);
    if (status == SEC_E_OK) made->assign(room_.data(), buffers_[4].cbBuffer);
    return status;
  }
  SECURITY_STATUS Verify(CtxtHandle context) {
    ULONG qop = 1;
    const SECURITY_STATUS status = VerifySignature(&context, &message_, 0, &qop);
    if (status == SEC_E_OK) {
      EXPECT_EQ(qop, 0U);
    }
    return status;
  }

 private:
  static SecBuffer Text(ULONG type, std::string& text) {
    return {static_cast<ULONG>(text.size()), type, text.empty() ? nullptr : text.data()};
  }

  std::string token_;
  Request request_;
  std::string room_;
  std::array<SecBuffer, 5> buffers_ = {
      Text(SECBUFFER_TOKEN, token_), Text(SECBUFFER_PKG_PARAMS, request_.method),
      Text(SECBUFFER_PKG_PARAMS, request_.uri), Text(SECBUFFER_PKG_PARAMS, request_.entity_hash),
      Text(SECBUFFER_PADDING, room_)};
  SecBufferDesc message_ = {SECBUFFER_VERSION, 5, buffers_.data()};
};

// What a call of AcceptSecurityContext came to.
struct Accepted {
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  CtxtHandle context{};
  std::string token;   // the challenge
  std::string second;  // the one with MD5, if there are two
  ULONG attributes = 0;
};

class DigestServer {
 public:
  explicit DigestServer(const std::string& users = UserLine("Mufasa", "Circle of Life"),
                        KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT)
      : file_(folder_.Write("users", users)), settings_(settings) {
    if (settings_.pszRealm == nullptr) settings_.pszRealm = kRealm.data();
    settings_.pszUsersFile = file_.c_str();
    EXPECT_EQ(Set(settings_), SEC_E_OK) << KtlsimLastErrorText();
  }
  SECURITY_STATUS Set(KtlsimCred_DigestServer settings) {
    return SetCredentialsAttributesA(credential_.get(), KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                     sizeof(settings));
  }
  PCredHandle credential() { return credential_.get(); }
  KtlsimCred_DigestServer& settings() { return settings_; }
  const TemporaryFolder& folder() const { return folder_; }

  Accepted Accept(const std::string& token, const Request& request = {},
                  const CtxtHandle* context = nullptr, ULONG flags = ASC_REQ_HTTP) {
    ServerInput input(token, request);
    return Accept(input, context, flags);
  }
  Accepted Accept(ServerInput& input, const CtxtHandle* context = nullptr,
                  ULONG flags = ASC_REQ_HTTP) {
    Accepted result;
    SecInvalidateHandle(&result.context);
    std::array<char, 4096> room;
    std::array<char, 4096> second_room;
    SecBuffer out[2] = {{room.size(), SECBUFFER_TOKEN, room.data()},
                        {second_room.size(), SECBUFFER_TOKEN, second_room.data()}};
    SecBufferDesc output = {SECBUFFER_VERSION, 2, out};
    CtxtHandle given{};
    if (context != nullptr) given = *context;
    result.status = AcceptSecurityContext(credential(), context != nullptr ? &given : nullptr,
                                          input.get(), flags, SECURITY_NATIVE_DREP, &result.context,
                                          &output, &result.attributes, nullptr);
    if (result.status == SEC_I_CONTINUE_NEEDED) {
      result.token.assign(room.data(), out[0].cbBuffer);
      result.second.assign(second_room.data(), out[1].cbBuffer);
    }
    return result;
  }
  // A challenge, from the beginning.
  Accepted Challenge(ULONG flags = ASC_REQ_HTTP) {
    Accepted result = Accept("", {}, nullptr, flags);
    EXPECT_EQ(result.status, SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    EXPECT_TRUE(SecIsValidHandle(&result.context));
    return result;
  }

  static SECURITY_STATUS Complete(const CtxtHandle& context, const std::string& token,
                                  const Request& request = {}) {
    ServerInput input(token, request);
    CtxtHandle handle = context;
    return CompleteAuthToken(&handle, input.get());
  }
  static SECURITY_STATUS Verify(const CtxtHandle& context, const std::string& token,
                                const Request& request = {}) {
    ServerInput input(token, request);
    CtxtHandle handle = context;
    ULONG qop = 1;
    return VerifySignature(&handle, input.get(), 0, &qop);
  }
  // Authentication-Info for the response to a request with this header; the hash in `response` is
  // that of the response's body.
  static SECURITY_STATUS Confirm(const CtxtHandle& context, const std::string& header,
                                 std::string* info, const Request& response = {},
                                 std::size_t room_bytes = 4096) {
    return SignatureBuffers(header, response, room_bytes).Make(context, info);
  }
  static SECURITY_STATUS Delete(const CtxtHandle& context) {
    CtxtHandle handle = context;
    return DeleteSecurityContext(&handle);
  }
  // AcceptSecurityContext and what it asks for; the last status.
  SECURITY_STATUS Serve(const std::string& token, const Request& request = {}) {
    const Accepted accepted = Accept(token, request);
    if (accepted.status != SEC_I_COMPLETE_NEEDED) return accepted.status;
    return Complete(accepted.context, token, request);
  }

 private:
  TemporaryFolder folder_;
  const std::string file_;
  KtlsimCred_DigestServer settings_;
  DigestHandle credential_{SECPKG_CRED_INBOUND, nullptr};
};

// How many contexts there are when all that are over have ended. What earlier tests have left ends
// a few at a time, with each challenge.
inline ULONGLONG ContextsAlive(DigestServer& server) {
  ULONGLONG before = 0;
  ULONGLONG now = Statistics().cSecurityContexts;
  do {
    before = now;
    DigestServer::Delete(server.Challenge().context);
    now = Statistics().cSecurityContexts;
  } while (now < before);
  return now;
}

// A name and a password as SSPI takes them.
class Identity {
 public:
  Identity(std::string user, std::string password, std::string domain = {})
      : user_(std::move(user)), password_(std::move(password)), domain_(std::move(domain)) {
    identity_ = {reinterpret_cast<unsigned char*>(user_.data()),
                 static_cast<ULONG>(user_.size()),
                 reinterpret_cast<unsigned char*>(domain_.data()),
                 static_cast<ULONG>(domain_.size()),
                 reinterpret_cast<unsigned char*>(password_.data()),
                 static_cast<ULONG>(password_.size()),
                 SEC_WINNT_AUTH_IDENTITY_ANSI};
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  void* get() { return &identity_; }

 private:
  std::string user_;
  std::string password_;
  std::string domain_;
  SEC_WINNT_AUTH_IDENTITY_A identity_{};
};

// Our own client.
class DigestClient {
 public:
  explicit DigestClient(const std::string& user = "Mufasa",
                        const std::string& password = "Circle of Life",
                        const std::string& domain = {})
      : identity_(user, password, domain), credential_(SECPKG_CRED_OUTBOUND, identity_.get()) {
    SecInvalidateHandle(&context_);
  }
  // As whom the thread acts.
  struct Default {};
  explicit DigestClient(Default) : identity_("", ""), credential_(SECPKG_CRED_OUTBOUND, nullptr) {
    SecInvalidateHandle(&context_);
  }
  DigestClient(const DigestClient&) = delete;
  DigestClient& operator=(const DigestClient&) = delete;
  ~DigestClient() { Delete(); }

  PCredHandle credential() { return credential_.get(); }
  CtxtHandle* context() { return &context_; }
  ULONG attributes() const { return attributes_; }
  void Delete() {
    if (!SecIsValidHandle(&context_)) return;
    EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
    SecInvalidateHandle(&context_);
  }

  // The response to a challenge, or an error.
  SECURITY_STATUS Respond(const std::string& challenge, std::string* header,
                          const Request& request = {}, ULONG flags = ISC_REQ_USE_HTTP_STYLE,
                          std::size_t room_bytes = 4096) {
    std::string token = challenge;
    Request copy = request;
    SecBuffer in[3] = {
        {static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
        {static_cast<ULONG>(copy.method.size()), SECBUFFER_PKG_PARAMS, copy.method.data()},
        {static_cast<ULONG>(copy.entity_hash.size()), SECBUFFER_PKG_PARAMS,
         copy.entity_hash.empty() ? nullptr : copy.entity_hash.data()}};
    SecBufferDesc input = {SECBUFFER_VERSION, 3, in};
    std::vector<char> room(room_bytes);
    SecBuffer out = {static_cast<ULONG>(room.size()), SECBUFFER_TOKEN, room.data()};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    const bool first = !SecIsValidHandle(&context_);
    CtxtHandle made = context_;
    const SECURITY_STATUS status =
        InitializeSecurityContextA(credential(), first ? nullptr : &context_, copy.uri.data(),
                                   flags, 0, 0, &input, 0, &made, &output, &attributes_, nullptr);
    if (status >= 0) {
      context_ = made;
      header->assign(room.data(), out.cbBuffer);
    }
    return status;
  }
  std::string Respond(const std::string& challenge, const Request& request = {}) {
    std::string header;
    EXPECT_EQ(Respond(challenge, &header, request), SEC_E_OK) << KtlsimLastErrorText();
    return header;
  }

  SECURITY_STATUS Sign(std::string* header, const Request& request = {},
                       std::size_t room_bytes = 4096) {
    return SignWith(context_, header, request, room_bytes);
  }
  std::string Sign(const Request& request = {}) {
    std::string header;
    EXPECT_EQ(Sign(&header, request), SEC_E_OK) << KtlsimLastErrorText();
    return header;
  }
  static SECURITY_STATUS SignWith(CtxtHandle context, std::string* header, const Request& request,
                                  std::size_t room_bytes = 4096) {
    return SignatureBuffers("", request, room_bytes).Make(context, header);
  }
  // What came as Authentication-Info for a request with this header; the hash in `response` is that
  // of the response's body.
  SECURITY_STATUS CheckServer(const std::string& info, const std::string& header,
                              const Request& response = {}) {
    return SignatureBuffers(info, response, header).Verify(context_);
  }

 private:
  Identity identity_;
  DigestHandle credential_;
  CtxtHandle context_;
  ULONG attributes_ = 0;
};

// A server and a client that have a context with each other.
struct Established {
  explicit Established(DigestServer& the_server, DigestClient& client, ULONG flags = ASC_REQ_HTTP)
      : server(the_server) {
    const Accepted challenge = server.Challenge(flags);
    first = client.Respond(challenge.token);
    const Accepted accepted = server.Accept(first, {}, &challenge.context, flags);
    EXPECT_EQ(accepted.status, SEC_E_OK) << KtlsimLastErrorText();
    context = accepted.context;
  }
  Established(const Established&) = delete;
  Established& operator=(const Established&) = delete;
  ~Established() {
    if (deletes) DigestServer::Delete(context);
  }

  DigestServer& server;
  CtxtHandle context{};
  std::string first;  // the header
  bool deletes = true;
};

inline digest::Challenge ReadChallenge(const std::string& text) {
  digest::Challenge challenge;
  EXPECT_EQ(digest::ParseChallenge(text, &challenge), digest::Fault::kNone) << text;
  return challenge;
}

inline digest::Response ReadResponse(const std::string& text) {
  digest::Response response;
  EXPECT_EQ(digest::ParseResponse(text, &response), digest::Fault::kNone) << text;
  return response;
}

// `text` with the first `from` in it as `to`.
inline std::string With(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// A client that answers as it likes: for what our own client would not do.
struct HandMade {
  std::string user = "Mufasa";
  std::string password = "Circle of Life";
  std::string realm = std::string(kRealm);
  std::string nonce;
  std::string opaque;
  std::uint32_t count = 1;
  std::string cnonce = "0a4f113b";
  digest::Qop qop = digest::Qop::kAuth;
  digest::Algorithm algorithm = digest::Algorithm::kMd5;

  static HandMade For(const std::string& challenge_text) {
    const digest::Challenge challenge = ReadChallenge(challenge_text);
    HandMade made;
    made.nonce = challenge.nonce;
    made.opaque = challenge.opaque;
    made.algorithm = challenge.algorithm;
    made.qop = challenge.qops.Has(digest::Qop::kAuth) ? digest::Qop::kAuth : digest::Qop::kAuthInt;
    return made;
  }
  std::string Header(const Request& request = {}) const {
    digest::Hasher hasher(digest::HashOf(algorithm));
    digest::HashValue account;
    digest::HashValue session;
    digest::Response response;
    const digest::NcText nc(count);
    EXPECT_TRUE(digest::ComputeAccountHash(hasher, user, realm, password, &account));
    EXPECT_TRUE(digest::ComputeSessionHash(hasher, algorithm, account, nonce, cnonce, &session));
    response.username = user;
    response.realm = realm;
    response.nonce = nonce;
    response.opaque = opaque;
    response.uri = request.uri;
    response.cnonce = cnonce;
    response.nc = nc.view();
    response.qop = qop;
    response.algorithm = algorithm;
    EXPECT_TRUE(digest::ComputeResponse(
        hasher, session, response.nonce_facts(),
        {.method = request.method, .uri = request.uri, .entity_hash = request.entity_hash},
        &response.response));
    std::array<char, 8192> room;
    const digest::Written written = digest::FormatResponse(response, room);
    EXPECT_EQ(written.fault, digest::Fault::kNone);
    return {room.data(), written.bytes};
  }
};

}  // namespace ktlsim::test
