// A TLS client and a TLS server that talk through the public API in memory, for tests.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::test {

using Bytes = std::vector<unsigned char>;

inline Bytes ToBytes(const std::string& text) { return {text.begin(), text.end()}; }
inline std::string ToText(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

// ALPN names as SEC_APPLICATION_PROTOCOLS.
inline Bytes AlpnBuffer(const std::vector<std::string>& names) {
  Bytes wire;
  for (const std::string& name : names) {
    wire.push_back(static_cast<unsigned char>(name.size()));
    wire.insert(wire.end(), name.begin(), name.end());
  }
  Bytes buffer(10 + wire.size());
  const auto lists = static_cast<std::uint32_t>(6 + wire.size());
  const std::int32_t extension = SecApplicationProtocolNegotiationExt_ALPN;
  const auto list = static_cast<std::uint16_t>(wire.size());
  std::memcpy(buffer.data(), &lists, 4);
  std::memcpy(buffer.data() + 4, &extension, 4);
  std::memcpy(buffer.data() + 8, &list, 2);
  std::memcpy(buffer.data() + 10, wire.data(), wire.size());
  return buffer;
}

// A certificate for "localhost" that lives for the whole test program.
inline PCCERT_CONTEXT LocalhostCertificate(ULONG key_type = KTLSIM_KEY_ECDSA_P256) {
  static std::array<PCCERT_CONTEXT, 2> certificates{};
  if (certificates[key_type] == nullptr) {
    EXPECT_EQ(KtlsimCreateSelfSignedCertificate("localhost", key_type, &certificates[key_type]),
              SEC_E_OK)
        << KtlsimLastErrorText();
  }
  return certificates[key_type];
}

// Owns a credential handle.
class TestCredential {
 public:
  // `disabled`: SP_PROT_* bits.
  static TestCredential Server(ULONG disabled = 0, ULONG key_type = KTLSIM_KEY_ECDSA_P256,
                               ULONG flags = 0) {
    PCCERT_CONTEXT certificate = LocalhostCertificate(key_type);
    return TestCredential(SECPKG_CRED_INBOUND, disabled, flags, certificate);
  }
  static TestCredential ServerWith(PCCERT_CONTEXT certificate, ULONG disabled = 0) {
    return TestCredential(SECPKG_CRED_INBOUND, disabled, 0, certificate);
  }
  // Accepts any certificate.
  static TestCredential Client(ULONG disabled = 0, ULONG flags = SCH_CRED_MANUAL_CRED_VALIDATION) {
    return TestCredential(SECPKG_CRED_OUTBOUND, disabled, flags, nullptr);
  }
  static TestCredential ClientWith(PCCERT_CONTEXT certificate, ULONG disabled = 0) {
    return TestCredential(SECPKG_CRED_OUTBOUND, disabled, SCH_CRED_MANUAL_CRED_VALIDATION,
                          certificate);
  }
  TestCredential(TestCredential&& other) noexcept : handle_(other.handle_) {
    SecInvalidateHandle(&other.handle_);
  }
  TestCredential& operator=(TestCredential&&) = delete;
  ~TestCredential() {
    if (SecIsValidHandle(&handle_)) {
      EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK);
    }
  }

  PCredHandle get() { return &handle_; }
  void SetTickets(ULONG tickets) {
    KtlsimCred_Tickets value{tickets};
    EXPECT_EQ(SetCredentialsAttributesA(&handle_, KTLSIM_ATTR_TICKETS, &value, sizeof(value)),
              SEC_E_OK);
  }
  SECURITY_STATUS SetSuites(const char* suites) {
    KtlsimCred_CipherSuites value{suites};
    return SetCredentialsAttributesA(&handle_, KTLSIM_ATTR_CIPHER_SUITES, &value, sizeof(value));
  }

 private:
  TestCredential(ULONG use, ULONG disabled, ULONG flags, PCCERT_CONTEXT certificate) {
    SecInvalidateHandle(&handle_);
    TLS_PARAMETERS parameters{};
    parameters.grbitDisabledProtocols = disabled;
    SCH_CREDENTIALS credentials{};
    credentials.dwVersion = SCH_CREDENTIALS_VERSION;
    credentials.dwFlags = flags;
    credentials.cTlsParameters = 1;
    credentials.pTlsParameters = &parameters;
    if (certificate != nullptr) {
      credentials.cCreds = 1;
      credentials.paCred = &certificate;
    }
    char name[] = UNISP_NAME_A;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, use, nullptr, &credentials, nullptr, nullptr,
                                        &handle_, nullptr),
              SEC_E_OK)
        << KtlsimLastErrorText();
  }

  CredHandle handle_;
};

// One end of a connection.
struct TestEnd {
  explicit TestEnd(bool is_server) : server(is_server) { SecInvalidateHandle(&context); }
  TestEnd(const TestEnd&) = delete;
  TestEnd& operator=(const TestEnd&) = delete;
  ~TestEnd() {
    if (SecIsValidHandle(&context)) {
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
  }

  const bool server;
  CtxtHandle context;
  Bytes inbox;  // ciphertext from the peer
  Bytes alpn;   // SEC_APPLICATION_PROTOCOLS, for the first call
  std::string target = "localhost";
  ULONG attributes = 0;
  ULONG token_room = 32768;
  ULONG more_flags = 0;  // in addition to the usual ones
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;

  ULONG Flags() const {
    return more_flags |
           (server ? ASC_REQ_SEQUENCE_DETECT | ASC_REQ_CONFIDENTIALITY | ASC_REQ_EXTENDED_ERROR |
                         ASC_REQ_STREAM | ASC_REQ_SESSION_TICKET
                   : ISC_REQ_SEQUENCE_DETECT | ISC_REQ_CONFIDENTIALITY | ISC_REQ_EXTENDED_ERROR |
                         ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS);
  }

  // One synchronous leg with the whole inbox; returns the token, and leaves the EXTRA bytes in the
  // inbox.
  Bytes Leg(PCredHandle credential) {
    const bool first = !SecIsValidHandle(&context);
    Bytes input = inbox;
    Bytes output(token_room);
    SecBuffer in[3] = {
        {static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()},
        {0, SECBUFFER_EMPTY, nullptr},
        {static_cast<ULONG>(alpn.size()), SECBUFFER_APPLICATION_PROTOCOLS, alpn.data()}};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, first && !alpn.empty() ? 3U : 2U, in};
    SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    if (server) {
      status = AcceptSecurityContext(credential, first ? nullptr : &context, &in_desc, Flags(), 0,
                                     &context, &out_desc, &attributes, nullptr);
    } else {
      status = InitializeSecurityContextA(
          credential, first ? nullptr : &context, first ? target.data() : nullptr, Flags(), 0,
          SECURITY_NATIVE_DREP, &in_desc, 0, &context, &out_desc, &attributes, nullptr);
    }
    if (status == SEC_E_INCOMPLETE_MESSAGE || status == SEC_E_BUFFER_TOO_SMALL) return {};
    const ULONG extra = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
    inbox.assign(input.end() - extra, input.end());
    output.resize(out.cbBuffer);
    return output;
  }

  Bytes Seal(const Bytes& plaintext, ULONG qop = 0) {
    SecPkgContext_StreamSizes sizes{};
    EXPECT_EQ(QueryContextAttributesA(&context, SECPKG_ATTR_STREAM_SIZES, &sizes), SEC_E_OK);
    Bytes record(sizes.cbHeader + plaintext.size() + sizes.cbTrailer);
    if (!plaintext.empty()) {
      std::memcpy(record.data() + sizes.cbHeader, plaintext.data(), plaintext.size());
    }
    SecBuffer buffers[4] = {
        {sizes.cbHeader, SECBUFFER_STREAM_HEADER, record.data()},
        {static_cast<ULONG>(plaintext.size()), SECBUFFER_DATA, record.data() + sizes.cbHeader},
        {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER,
         record.data() + sizes.cbHeader + plaintext.size()},
        {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    status = EncryptMessage(&context, qop, &message, 0);
    if (status != SEC_E_OK) return {};
    EXPECT_EQ(buffers[0].cbBuffer, sizes.cbHeader);
    record.resize(buffers[0].cbBuffer + buffers[1].cbBuffer + buffers[2].cbBuffer);
    return record;
  }

  // Opens the records in the inbox until no whole one is left, and passes post-handshake messages
  // on as a user of the API must. `status` is the last one; tokens that are owed go to `reply`.
  Bytes Open(PCredHandle credential, Bytes* reply = nullptr) {
    Bytes plaintext;
    status = SEC_E_INCOMPLETE_MESSAGE;
    while (!inbox.empty()) {
      SecBuffer buffers[4] = {{static_cast<ULONG>(inbox.size()), SECBUFFER_DATA, inbox.data()},
                              {0, SECBUFFER_EMPTY, nullptr},
                              {0, SECBUFFER_EMPTY, nullptr},
                              {0, SECBUFFER_EMPTY, nullptr}};
      SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
      status = DecryptMessage(&context, &message, 0, nullptr);
      if (status == SEC_E_INCOMPLETE_MESSAGE) return plaintext;
      Bytes rest;
      if (status >= 0 && buffers[3].BufferType == SECBUFFER_EXTRA) {
        auto* extra = static_cast<unsigned char*>(buffers[3].pvBuffer);
        rest.assign(extra, extra + buffers[3].cbBuffer);
      }
      if (status == SEC_E_OK) {
        auto* data = static_cast<unsigned char*>(buffers[1].pvBuffer);
        plaintext.insert(plaintext.end(), data, data + buffers[1].cbBuffer);
      }
      inbox = rest;
      if (status == SEC_I_RENEGOTIATE) {
        const Bytes token = Leg(credential);
        EXPECT_EQ(status, SEC_E_OK);
        if (reply != nullptr) reply->insert(reply->end(), token.begin(), token.end());
      } else if (status != SEC_E_OK) {
        return plaintext;
      }
    }
    return plaintext;
  }

  DWORD Resumed() {
    SecPkgContext_SessionInfo info{};
    EXPECT_EQ(QueryContextAttributesA(&context, SECPKG_ATTR_SESSION_INFO, &info), SEC_E_OK);
    return info.dwFlags & SSL_SESSION_RECONNECT;
  }
};

inline void Append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

// Drives both ends until neither has anything to send. Returns true when both are established.
inline bool RunHandshake(TestEnd& client, PCredHandle client_credential, TestEnd& server,
                         PCredHandle server_credential) {
  bool client_done = false;
  bool server_done = false;
  Append(server.inbox, client.Leg(client_credential));
  if (client.status < 0) return false;
  for (int round = 0; round < 10 && !(client_done && server_done); ++round) {
    if (!server_done) {
      const Bytes token = server.Leg(server_credential);
      Append(client.inbox, token);
      server_done = server.status == SEC_E_OK;
      if (server.status < 0) {
        if (!token.empty() && !client_done) client.Leg(client_credential);
        return false;
      }
    }
    if (!client_done) {
      const Bytes token = client.Leg(client_credential);
      Append(server.inbox, token);
      client_done = client.status == SEC_E_OK;
      if (client.status < 0) {
        if (!token.empty() && !server_done) server.Leg(server_credential);
        return false;
      }
    }
  }
  return client_done && server_done;
}

}  // namespace ktlsim::test
