// What the conformance tests of other implementations of Schannel (Wine's, WinPR's) call, in their
// order and with their arguments, and the statuses that they recorded on Windows. Only these facts
// are theirs; the code is our own.
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

using testing::AnyOf;

char g_package[] = UNISP_NAME_A;
char g_target[] = "localhost";

SECURITY_STATUS Acquire(ULONG use, SCHANNEL_CRED* auth, PCredHandle credential,
                        PTimeStamp expiry = nullptr) {
  return AcquireCredentialsHandleA(nullptr, g_package, use, nullptr, auth, nullptr, nullptr,
                                   credential, expiry);
}

constexpr ULONG kBothUses[] = {SECPKG_CRED_OUTBOUND, SECPKG_CRED_INBOUND};

// ---- Acquiring: calls that must fail are made without a place for the handle

TEST(RecordedHabitsTest, NoPackage) {
  EXPECT_EQ(AcquireCredentialsHandleA(nullptr, nullptr, 0, nullptr, nullptr, nullptr, nullptr,
                                      nullptr, nullptr),
            SEC_E_SECPKG_NOT_FOUND);
}

TEST(RecordedHabitsTest, AClientNeedsNoStructure) {
  CredHandle credential{};
  ASSERT_EQ(Acquire(SECPKG_CRED_OUTBOUND, nullptr, &credential), SEC_E_OK);
  EXPECT_EQ(QueryCredentialsAttributesA(&credential, SECPKG_ATTR_SUPPORTED_PROTOCOLS, nullptr),
            SEC_E_INTERNAL_ERROR);
  SecPkgCred_SupportedProtocols protocols{};
  EXPECT_EQ(QueryCredentialsAttributesA(&credential, SECPKG_ATTR_SUPPORTED_PROTOCOLS, &protocols),
            SEC_E_OK);
  EXPECT_NE(protocols.grbitProtocol & SP_PROT_TLS1_2_CLIENT, 0U);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  TimeStamp expiry{};
  ASSERT_EQ(Acquire(SECPKG_CRED_OUTBOUND, nullptr, &credential, &expiry), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
}

TEST(RecordedHabitsTest, ABadVersionIsJudgedBeforeThePlaceForTheHandle) {
  SCHANNEL_CRED auth{};
  for (const ULONG use : kBothUses) {
    EXPECT_THAT(Acquire(use, &auth, nullptr),
                AnyOf(SEC_E_INTERNAL_ERROR, SEC_E_UNKNOWN_CREDENTIALS, SEC_E_INVALID_TOKEN));
  }
}

TEST(RecordedHabitsTest, NoCertificate) {
  SCHANNEL_CRED auth{};
  auth.dwVersion = SCHANNEL_CRED_VERSION;
  CredHandle credential{};
  ASSERT_EQ(Acquire(SECPKG_CRED_OUTBOUND, &auth, &credential), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  const SECURITY_STATUS inbound = Acquire(SECPKG_CRED_INBOUND, &auth, &credential);
  EXPECT_THAT(inbound, AnyOf(SEC_E_NO_CREDENTIALS, SEC_E_OK));
  if (inbound == SEC_E_OK) {
    EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  }
}

// A certificate that this library has not made: readable or not, it has no key here.
CERT_CONTEXT Foreign(std::vector<unsigned char>& der) {
  CERT_CONTEXT context{};
  context.dwCertEncodingType = X509_ASN_ENCODING;
  context.pbCertEncoded = der.data();
  context.cbCertEncoded = static_cast<DWORD>(der.size());
  return context;
}

TEST(RecordedHabitsTest, BogusCertificatesAndThoseWithoutAKey) {
  std::vector<unsigned char> bogus_der(64, 0x30);
  PCCERT_CONTEXT good = LocalhostCertificate();
  std::vector<unsigned char> good_der(good->pbCertEncoded,
                                      good->pbCertEncoded + good->cbCertEncoded);
  const CERT_CONTEXT bogus = Foreign(bogus_der);
  const CERT_CONTEXT without_key = Foreign(good_der);
  for (const ULONG use : kBothUses) {
    for (const auto& list : {std::vector<PCCERT_CONTEXT>{&bogus},
                             {&without_key},
                             {good, &bogus},
                             {&bogus, good},
                             {good, &without_key}}) {
      std::vector<PCCERT_CONTEXT> certificates = list;
      SCHANNEL_CRED auth{};
      auth.dwVersion = SCHANNEL_CRED_VERSION;
      auth.cCreds = static_cast<DWORD>(certificates.size());
      auth.paCred = certificates.data();
      EXPECT_THAT(Acquire(use, &auth, nullptr),
                  AnyOf(SEC_E_UNKNOWN_CREDENTIALS, SEC_E_NO_CREDENTIALS, SEC_E_INVALID_TOKEN));
    }
  }
}

// ---- The first legs: four buffers, all of one allocation in the first

class LegHabitsTest : public testing::TestWithParam<ULONG> {
 protected:
  static constexpr ULONG kRoom = 4000;

  struct Buffers {
    explicit Buffers(ULONG type) : memory(kRoom) {
      buffer[0] = {kRoom, type, memory.data()};
      desc = {SECBUFFER_VERSION, 4, buffer.data()};
    }
    std::vector<unsigned char> memory;
    std::array<SecBuffer, 4> buffer{};
    SecBufferDesc desc{};
  };

  SECURITY_STATUS Leg(bool first, PSecBufferDesc input) {
    ULONG attributes = 0;
    return InitializeSecurityContextA(credential_.get(), first ? nullptr : &context_, g_target,
                                      ISC_REQ_CONFIDENTIALITY | ISC_REQ_STREAM, 0, 0, input, 0,
                                      first ? &context_ : nullptr, &out_.desc, &attributes,
                                      nullptr);
  }
  void ExpectOutputUntouched() {
    EXPECT_EQ(out_.buffer[0].cbBuffer, kRoom);
    EXPECT_EQ(out_.buffer[0].BufferType, static_cast<ULONG>(SECBUFFER_TOKEN));
  }

  TestCredential credential_ = TestCredential::Client(GetParam());
  CtxtHandle context_{};
  Buffers out_{SECBUFFER_TOKEN};
  Buffers in_{SECBUFFER_TOKEN};
};

TEST_P(LegHabitsTest, GarbageIsAnInvalidTokenAndLeavesNoOutput) {
  ASSERT_EQ(Leg(true, nullptr), SEC_I_CONTINUE_NEEDED);
  in_.desc.cBuffers = 1;
  std::memset(in_.memory.data(), 0xA5, in_.memory.size());
  out_.buffer[0].cbBuffer = 1;
  EXPECT_EQ(Leg(false, &in_.desc), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(out_.buffer[0].cbBuffer, 0U);
  EXPECT_THAT(Leg(false, &in_.desc), AnyOf(SEC_E_INSUFFICIENT_MEMORY, SEC_E_INVALID_TOKEN));
  EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
}

TEST_P(LegHabitsTest, TooFewBytesChangeNothing) {
  TestCredential server_credential = TestCredential::Server(GetParam());
  ASSERT_EQ(Leg(true, nullptr), SEC_I_CONTINUE_NEEDED);
  TestEnd server(true);
  Append(server.inbox, Bytes(out_.memory.begin(),
                             out_.memory.begin() + static_cast<long>(out_.buffer[0].cbBuffer)));
  const Bytes reply = server.Leg(server_credential.get());
  ASSERT_GT(reply.size(), 5U);
  out_.buffer[0] = {kRoom, SECBUFFER_TOKEN, out_.memory.data()};

  EXPECT_EQ(Leg(false, nullptr), SEC_E_INCOMPLETE_MESSAGE);
  ExpectOutputUntouched();
  std::memcpy(in_.memory.data(), reply.data(), std::min<std::size_t>(reply.size(), kRoom));
  for (const ULONG bytes : {0U, 4U, 5U}) {
    in_.buffer[0] = {bytes, SECBUFFER_TOKEN, in_.memory.data()};
    for (int i = 1; i < 4; ++i) in_.buffer[static_cast<std::size_t>(i)] = {};
    EXPECT_EQ(Leg(false, &in_.desc), SEC_E_INCOMPLETE_MESSAGE) << bytes;
    ExpectOutputUntouched();
  }
  in_.buffer[0] = {static_cast<ULONG>(reply.size()), SECBUFFER_TOKEN, in_.memory.data()};
  for (int i = 1; i < 4; ++i) in_.buffer[static_cast<std::size_t>(i)] = {};
  EXPECT_THAT(Leg(false, &in_.desc), AnyOf(SEC_I_CONTINUE_NEEDED, SEC_E_OK));
  EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
}

// ---- Records: what DecryptMessage wants, tried before the call that works

TEST_P(LegHabitsTest, DecryptMessageWantsOneDataAndThreeEmptyBuffers) {
  TestCredential server_credential = TestCredential::Server(GetParam());
  server_credential.SetTickets(0);
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, credential_.get(), server, server_credential.get()));
  Bytes record = server.Seal(ToBytes("answer"));
  const auto bytes = static_cast<ULONG>(record.size());
  std::array<SecBuffer, 4> buffer{};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffer.data()};
  const auto decrypt = [&] { return DecryptMessage(&client.context, &message, 0, nullptr); };
  buffer[0] = {bytes, SECBUFFER_EMPTY, record.data()};

  message.cBuffers = 3;
  EXPECT_EQ(decrypt(), SEC_E_INVALID_TOKEN) << "too few";
  message.cBuffers = 4;
  EXPECT_EQ(decrypt(), SEC_E_INVALID_TOKEN) << "no DATA";
  buffer[0].BufferType = SECBUFFER_DATA;
  buffer[1].BufferType = SECBUFFER_DATA;
  EXPECT_EQ(decrypt(), SEC_E_INVALID_TOKEN) << "two DATA";
  buffer[1].BufferType = SECBUFFER_EXTRA;
  EXPECT_EQ(decrypt(), SEC_E_INVALID_TOKEN) << "two EMPTY";

  buffer[1].BufferType = SECBUFFER_EMPTY;
  buffer[0].cbBuffer = bytes - 5;
  EXPECT_EQ(decrypt(), SEC_E_INCOMPLETE_MESSAGE);
  EXPECT_EQ(buffer[0].BufferType, static_cast<ULONG>(SECBUFFER_MISSING));
  EXPECT_EQ(buffer[0].cbBuffer, 5U);

  buffer[0] = {bytes, SECBUFFER_DATA, record.data()};
  buffer[1] = {};
  EXPECT_EQ(decrypt(), SEC_E_OK);
  EXPECT_EQ(buffer[0].BufferType, static_cast<ULONG>(SECBUFFER_STREAM_HEADER));
  EXPECT_EQ(buffer[1].BufferType, static_cast<ULONG>(SECBUFFER_DATA));
  EXPECT_EQ(buffer[2].BufferType, static_cast<ULONG>(SECBUFFER_STREAM_TRAILER));
  EXPECT_EQ(std::string(static_cast<char*>(buffer[1].pvBuffer), buffer[1].cbBuffer), "answer");
}

INSTANTIATE_TEST_SUITE_P(Versions, LegHabitsTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}));

// ---- Everything through the function table, as a program that loads the library at run time does

class FunctionTableHabitsTest : public testing::Test {
 protected:
  struct End {
    CredHandle credential{};
    CtxtHandle context{};
    Bytes inbox;
    SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;
  };

  void SetUp() override {
    PSecPkgInfoA info = nullptr;
    ASSERT_EQ(table_->QuerySecurityPackageInfoA(name_, &info), SEC_E_OK);
    room_ = info->cbMaxToken;
    EXPECT_EQ(table_->FreeContextBuffer(info), SEC_E_OK);
    SecInvalidateHandle(&client_.context);
    SecInvalidateHandle(&server_.context);

    SCHANNEL_CRED auth{};
    auth.dwVersion = SCHANNEL_CRED_VERSION;
    auth.dwFlags =
        SCH_CRED_NO_DEFAULT_CREDS | SCH_CRED_MANUAL_CRED_VALIDATION | SCH_CRED_NO_SERVERNAME_CHECK;
    Acquire(SECPKG_CRED_OUTBOUND, auth, client_);
    PCCERT_CONTEXT certificate = LocalhostCertificate();
    SCHANNEL_CRED server_auth{};
    server_auth.dwVersion = SCHANNEL_CRED_VERSION;
    server_auth.cCreds = 1;
    server_auth.paCred = &certificate;
    server_auth.dwFlags = SCH_CRED_NO_SYSTEM_MAPPER;
    Acquire(SECPKG_CRED_INBOUND, server_auth, server_);
  }
  void TearDown() override {
    for (End* end : {&client_, &server_}) {
      EXPECT_EQ(table_->DeleteSecurityContext(&end->context), SEC_E_OK);
      EXPECT_EQ(table_->FreeCredentialHandle(&end->credential), SEC_E_OK);
    }
  }

  void Acquire(ULONG use, SCHANNEL_CRED& auth, End& end) {
    ASSERT_EQ(table_->AcquireCredentialsHandleA(nullptr, name_, use, nullptr, &auth, nullptr,
                                                nullptr, &end.credential, nullptr),
              SEC_E_OK);
  }

  // One call with all bytes that were received; unused ones stay.
  void Leg(End& end, End& peer) {
    Bytes token(room_);
    SecBuffer in[2] = {{static_cast<ULONG>(end.inbox.size()), SECBUFFER_TOKEN, end.inbox.data()},
                       {0, SECBUFFER_EMPTY, nullptr}};
    SecBuffer out = {room_, SECBUFFER_TOKEN, token.data()};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    end.status = &end == &server_ ? Accept(&input, &output) : Initialize(&input, &output);
    if (end.status != SEC_E_OK && end.status != SEC_I_CONTINUE_NEEDED) return;
    const ULONG extra = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
    end.inbox.erase(end.inbox.begin(), end.inbox.end() - static_cast<long>(extra));
    Append(peer.inbox, Bytes(token.begin(), token.begin() + static_cast<long>(out.cbBuffer)));
  }

  const PSecurityFunctionTableA table_ = InitSecurityInterfaceA();
  End client_;
  End server_;

 private:
  SECURITY_STATUS Accept(PSecBufferDesc input, PSecBufferDesc output) {
    ULONG attributes = 0;
    TimeStamp expiry{};
    CtxtHandle& context = server_.context;
    return table_->AcceptSecurityContext(
        &server_.credential, SecIsValidHandle(&context) ? &context : nullptr, input,
        ASC_REQ_STREAM | ASC_REQ_SEQUENCE_DETECT | ASC_REQ_REPLAY_DETECT | ASC_REQ_CONFIDENTIALITY |
            ASC_REQ_EXTENDED_ERROR,
        0, &context, output, &attributes, &expiry);
  }
  SECURITY_STATUS Initialize(PSecBufferDesc input, PSecBufferDesc output) {
    ULONG attributes = 0;
    TimeStamp expiry{};
    CtxtHandle& context = client_.context;
    const bool later = SecIsValidHandle(&context);
    return table_->InitializeSecurityContextA(
        &client_.credential, later ? &context : nullptr, g_target,
        ISC_REQ_STREAM | ISC_REQ_SEQUENCE_DETECT | ISC_REQ_REPLAY_DETECT | ISC_REQ_CONFIDENTIALITY |
            ISC_RET_EXTENDED_ERROR | ISC_REQ_MANUAL_CRED_VALIDATION | ISC_REQ_INTEGRITY,
        0, SECURITY_NATIVE_DREP, later ? input : nullptr, 0, &context, output, &attributes,
        &expiry);
  }

  char name_[sizeof(SCHANNEL_NAME_A)] = SCHANNEL_NAME_A;
  ULONG room_ = 0;
};

TEST_F(FunctionTableHabitsTest, AHandshake) {
  SecPkgCred_SupportedAlgs algorithms{};
  EXPECT_EQ(table_->QueryCredentialsAttributesA(&client_.credential, SECPKG_ATTR_SUPPORTED_ALGS,
                                                &algorithms),
            SEC_E_OK);
  EXPECT_GT(algorithms.cSupportedAlgs, 0U);
  EXPECT_EQ(table_->FreeContextBuffer(algorithms.palgSupportedAlgs), SEC_E_OK);
  SecPkgCred_CipherStrengths strengths{};
  EXPECT_EQ(table_->QueryCredentialsAttributesA(&client_.credential, SECPKG_ATTR_CIPHER_STRENGTHS,
                                                &strengths),
            SEC_E_OK);
  EXPECT_EQ(strengths.dwMaximumCipherStrength, 256U);

  Leg(client_, server_);
  for (int round = 0; round < 10; ++round) {
    if (client_.status == SEC_E_OK && server_.status == SEC_E_OK) break;
    if (server_.status != SEC_E_OK) Leg(server_, client_);
    if (client_.status != SEC_E_OK && !client_.inbox.empty()) Leg(client_, server_);
  }
  EXPECT_EQ(client_.status, SEC_E_OK);
  EXPECT_EQ(server_.status, SEC_E_OK);
  SecPkgContext_StreamSizes sizes{};
  EXPECT_EQ(table_->QueryContextAttributesA(&client_.context, SECPKG_ATTR_STREAM_SIZES, &sizes),
            SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
