// Channel bindings over HTTP: a response is good on the TLS channel and for the service that it was
// made for, and nowhere else.

#include "kernel_sim/digest/bindings.h"

#include <sspi.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

constexpr std::string_view kService = "HTTP/www.example.org";
// Both computed by Python's hashlib: of the binding "tls-server-end-point:" with the bytes 0 to 31,
// and of kService, a colon and that.
constexpr std::string_view kChannel = "8f1214c9c9cab8dc3bf866da9aba57a7";
constexpr std::string_view kCovered = "0e6a1e084c316d08bbd533e0b2b27299";

// A SEC_CHANNEL_BINDINGS with application data alone, as TLS has it.
class Channel {
 public:
  explicit Channel(unsigned char first = 0) {
    std::string data = "tls-server-end-point:";
    for (unsigned i = 0; i < 32; ++i) data.push_back(static_cast<char>(first + i));
    SEC_CHANNEL_BINDINGS head{};
    head.cbApplicationDataLength = static_cast<ULONG>(data.size());
    head.dwApplicationDataOffset = sizeof(head);
    bytes_.resize(sizeof(head) + data.size());
    std::memcpy(bytes_.data(), &head, sizeof(head));
    std::memcpy(bytes_.data() + sizeof(head), data.data(), data.size());
  }
  SecBuffer buffer() {
    return {static_cast<ULONG>(bytes_.size()), SECBUFFER_CHANNEL_BINDINGS | SECBUFFER_READONLY,
            bytes_.data()};
  }
  std::vector<std::byte>& bytes() { return bytes_; }
  void Change(ULONG SEC_CHANNEL_BINDINGS::* member, ULONG value) {
    SEC_CHANNEL_BINDINGS head{};
    std::memcpy(&head, bytes_.data(), sizeof(head));
    head.*member = value;
    std::memcpy(bytes_.data(), &head, sizeof(head));
  }

 private:
  std::vector<std::byte> bytes_;
};

class DigestBindingsTest : public testing::Test {
 protected:
  ~DigestBindingsTest() override { DigestServer::Delete(challenge_.context); }

  // A server that comes over `channel`; null: that names none.
  Accepted Accept(const std::string& token, Channel* channel) {
    ServerInput input(token, {});
    if (channel != nullptr) input.Add(channel->buffer());
    return server_.Accept(input);
  }
  void Challenge(Channel* channel) {
    challenge_ = Accept("", channel);
    ASSERT_EQ(challenge_.status, SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
  }
  SECURITY_STATUS Respond(const std::string& challenge, Channel* channel, std::string service,
                          std::string* header) {
    std::string token = challenge;
    std::string method = "GET";
    std::string uri = "/dir/index.html";
    std::array<SecBuffer, 5> in = {
        {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
         {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
         {0, SECBUFFER_PKG_PARAMS, nullptr},
         {static_cast<ULONG>(service.size()), SECBUFFER_TARGET_HOST | SECBUFFER_READONLY,
          service.data()},
         {}}};
    if (channel != nullptr) in[4] = channel->buffer();
    SecBufferDesc input = {SECBUFFER_VERSION, channel != nullptr ? 5U : 4U, in.data()};
    std::array<char, 4096> room;
    SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    ULONG attributes = 0;
    const SECURITY_STATUS status = InitializeSecurityContextA(
        client_.credential(), nullptr, uri.data(), ISC_REQ_USE_HTTP_STYLE, 0, 0, &input, 0,
        client_.context(), &output, &attributes, nullptr);
    if (status == SEC_E_OK) header->assign(room.data(), out.cbBuffer);
    return status;
  }
  std::string Bound(Channel* channel) {
    std::string header;
    EXPECT_EQ(Respond(challenge_.token, channel, std::string(kService), &header), SEC_E_OK)
        << KtlsimLastErrorText();
    return header;
  }

  DigestServer server_;
  DigestClient client_;
  Channel channel_;
  Channel other_{100};
  Accepted challenge_;
};

TEST_F(DigestBindingsTest, TheResponseCoversServiceAndChannel) {
  Challenge(&channel_);
  EXPECT_TRUE(ReadChallenge(challenge_.token).nonce.starts_with("+Upgraded+v1"));
  const std::string header = Bound(&channel_);
  const digest::Response response = ReadResponse(header);
  EXPECT_EQ(response.service_name, kService);
  EXPECT_EQ(response.channel, kChannel);
  EXPECT_TRUE(response.cnonce.starts_with("+Upgraded+v1" + std::string(kCovered)));
  EXPECT_NE(header.find("hashed-dirs=\"service-name,channel-binding\""), std::string::npos);
  EXPECT_EQ(Accept(header, &channel_).status, SEC_E_OK) << KtlsimLastErrorText();
  SecPkgContext_ClientSpecifiedTarget target{};
  ASSERT_EQ(
      QueryContextAttributesW(&challenge_.context, SECPKG_ATTR_CLIENT_SPECIFIED_TARGET, &target),
      SEC_E_OK);
  const std::u16string told = reinterpret_cast<const char16_t*>(target.sTargetName);
  EXPECT_EQ(std::string(told.begin(), told.end()), kService);
  FreeContextBuffer(target.sTargetName);
}

// Somebody in the middle has a channel with each of them.
TEST_F(DigestBindingsTest, AResponseThatWasPassedOnIsRefused) {
  Challenge(&channel_);
  const std::string header = Bound(&other_);
  EXPECT_EQ(Accept(header, &channel_).status, SEC_E_BAD_BINDINGS);
  EXPECT_EQ(Accept(With(header, ReadResponse(header).channel, kChannel), &channel_).status,
            SEC_E_BAD_BINDINGS);
  EXPECT_EQ(Accept(With(header, kService, "HTTP/elsewhere.example"), &channel_).status,
            SEC_E_BAD_BINDINGS);
  // The challenge is as it was.
  client_.Delete();
  EXPECT_EQ(Accept(Bound(&channel_), &channel_).status, SEC_E_OK);
}

// Without the client's notice.
TEST_F(DigestBindingsTest, NobodyTakesTheQuestionOutOfAChallenge) {
  Challenge(&channel_);
  const Accepted asked =
      Accept(client_.Respond(With(challenge_.token, "+Upgraded+v1", "")), &channel_);
  EXPECT_LT(asked.status, 0);
  DigestServer::Delete(challenge_.context);
  Challenge(nullptr);
  client_.Delete();
  const std::string nonce(ReadChallenge(challenge_.token).nonce);
  std::string header;
  ASSERT_EQ(Respond(With(challenge_.token, nonce, "+Upgraded+v1" + nonce), &channel_,
                    std::string(kService), &header),
            SEC_E_OK);
  EXPECT_LT(Accept(header, &channel_).status, 0);
}

TEST_F(DigestBindingsTest, MissingBindingsAreTaken) {
  Challenge(&channel_);
  const std::string without = client_.Respond(challenge_.token);
  EXPECT_TRUE(ReadResponse(without).channel.empty()) << "a client that names nothing";
  EXPECT_EQ(Accept(without, &channel_).status, SEC_E_OK);
  DigestServer::Delete(challenge_.context);
  client_.Delete();
  Challenge(&channel_);
  const std::string none = Bound(nullptr);
  EXPECT_EQ(ReadResponse(none).channel, std::string(32, '0'));
  EXPECT_EQ(Accept(none, &channel_).status, SEC_E_OK);
}

TEST_F(DigestBindingsTest, AServerThatNamesNoneAsksForNone) {
  Challenge(nullptr);
  EXPECT_FALSE(ReadChallenge(challenge_.token).nonce.starts_with("+Upgraded"));
  const std::string header = Bound(&channel_);
  EXPECT_TRUE(ReadResponse(header).channel.empty());
  EXPECT_EQ(Accept(header, nullptr).status, SEC_E_OK);
  SecPkgContext_ClientSpecifiedTarget target{};
  EXPECT_EQ(
      QueryContextAttributesW(&challenge_.context, SECPKG_ATTR_CLIENT_SPECIFIED_TARGET, &target),
      SEC_E_UNSUPPORTED_FUNCTION);
}

TEST_F(DigestBindingsTest, FurtherRequestsAreBoundToo) {
  Challenge(&channel_);
  ASSERT_EQ(Accept(Bound(&channel_), &channel_).status, SEC_E_OK);
  const std::string second = client_.Sign();
  EXPECT_EQ(ReadResponse(second).channel, kChannel);
  EXPECT_EQ(Accept(second, &other_).status, SEC_E_BAD_BINDINGS);
  // The count was not used up.
  const Accepted accepted = Accept(second, &channel_);
  ASSERT_EQ(accepted.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  ServerInput elsewhere(second, {});
  elsewhere.Add(other_.buffer());
  CtxtHandle handle = accepted.context;
  EXPECT_EQ(CompleteAuthToken(&handle, elsewhere.get()), SEC_E_BAD_BINDINGS);
  ServerInput verified(second, {});
  verified.Add(channel_.buffer());
  ULONG qop = 0;
  EXPECT_EQ(VerifySignature(&handle, verified.get(), 0, &qop), SEC_E_OK) << KtlsimLastErrorText();
}

// A relay takes a challenge from where nobody asks for bindings, and the response to it to where
// somebody does.
TEST_F(DigestBindingsTest, ANonceThatAsksForNothingIsReplacedWhereBindingsCount) {
  Challenge(nullptr);
  const std::string first = client_.Respond(challenge_.token);
  const Accepted asked = Accept(first, &channel_);
  ASSERT_EQ(asked.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(asked.token).stale);
  EXPECT_TRUE(ReadChallenge(asked.token).nonce.starts_with("+Upgraded+v1"));
  client_.Delete();
  challenge_.token = asked.token;
  EXPECT_EQ(Accept(Bound(&channel_), &channel_).status, SEC_E_OK) << KtlsimLastErrorText();
}

TEST_F(DigestBindingsTest, AnEstablishedContextIsAskedForBindingsWhereTheyCount) {
  Challenge(nullptr);
  ASSERT_EQ(Accept(client_.Respond(challenge_.token), nullptr).status, SEC_E_OK);
  const std::string second = client_.Sign();
  const Accepted asked = Accept(second, &channel_);
  ASSERT_EQ(asked.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(asked.token).nonce.starts_with("+Upgraded+v1"));
  // Where they do not, it goes on; and its record serves although the first try was malformed.
  const Accepted opened = Accept(second, nullptr);
  ASSERT_EQ(opened.status, SEC_I_COMPLETE_NEEDED);
  Channel small;
  small.bytes().resize(4);
  ServerInput malformed(second, {});
  malformed.Add(small.buffer());
  CtxtHandle handle = opened.context;
  EXPECT_EQ(CompleteAuthToken(&handle, malformed.get()), SEC_E_INVALID_TOKEN);
  ServerInput bound(second, {});
  bound.Add(channel_.buffer());
  EXPECT_EQ(CompleteAuthToken(&handle, bound.get()), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  EXPECT_EQ(Accept(client_.Sign(), nullptr).status, SEC_I_COMPLETE_NEEDED);
}

// A context goes from one connection to the next one, which may have bindings of its own.
TEST_F(DigestBindingsTest, ARequestMayBeBoundToAnotherChannel) {
  Challenge(&channel_);
  ASSERT_EQ(Accept(Bound(&channel_), &channel_).status, SEC_E_OK);
  std::string method = "GET";
  std::string uri = "/dir/index.html";
  std::array<char, 4096> room;
  std::array<SecBuffer, 6> buffers = {
      {{0, SECBUFFER_TOKEN, nullptr},
       {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
       {static_cast<ULONG>(uri.size()), SECBUFFER_PKG_PARAMS, uri.data()},
       {0, SECBUFFER_PKG_PARAMS, nullptr},
       {room.size(), SECBUFFER_PADDING, room.data()},
       other_.buffer()}};
  SecBufferDesc message = {SECBUFFER_VERSION, 6, buffers.data()};
  ASSERT_EQ(MakeSignature(client_.context(), 0, &message, 0), SEC_E_OK) << KtlsimLastErrorText();
  const std::string header(room.data(), buffers[4].cbBuffer);
  EXPECT_EQ(ReadResponse(header).service_name, kService);
  EXPECT_EQ(Accept(header, &channel_).status, SEC_E_BAD_BINDINGS);
  EXPECT_EQ(Accept(header, &other_).status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  EXPECT_EQ(ReadResponse(client_.Sign()).channel, kChannel) << "as before";
}

TEST_F(DigestBindingsTest, DirectivesThatAreNotCoveredAreMalformed) {
  Challenge(&channel_);
  const std::string header = Bound(&channel_);
  const std::string channel = "channel-binding=\"" + std::string(kChannel) + "\"";
  for (const std::string& bad :
       {With(header, "hashed-dirs=\"service-name,channel-binding\"",
             "hashed-dirs=\"service-name\""),
        With(header, "hashed-dirs", "hashed-dir"), With(header, channel, "channel-binding=\"00\""),
        With(header, channel, "channel-binding=\"" + std::string(32, 'g') + "\""),
        With(header, "service-name=", "service=")}) {
    EXPECT_EQ(Accept(bad, &channel_).status, SEC_E_INVALID_TOKEN) << bad;
  }
  EXPECT_EQ(Accept(header, &channel_).status, SEC_E_OK);
}

TEST_F(DigestBindingsTest, StructuresThatReachOutOfTheirBytesAreRefused) {
  Challenge(&channel_);
  using Member = ULONG SEC_CHANNEL_BINDINGS::*;
  constexpr Member kLengths[] = {&SEC_CHANNEL_BINDINGS::cbInitiatorLength,
                                 &SEC_CHANNEL_BINDINGS::cbAcceptorLength,
                                 &SEC_CHANNEL_BINDINGS::cbApplicationDataLength};
  for (const Member length : kLengths) {
    for (const ULONG bytes : {1000U, 0xffffffffU}) {
      Channel bad;
      bad.Change(length, bytes);
      EXPECT_EQ(Accept("", &bad).status, SEC_E_INVALID_TOKEN);
      std::string header;
      EXPECT_EQ(Respond(challenge_.token, &bad, "", &header), SEC_E_INVALID_TOKEN);
    }
  }
  Channel far;
  far.Change(&SEC_CHANNEL_BINDINGS::dwApplicationDataOffset, 0xfffffff0U);
  EXPECT_EQ(Accept("", &far).status, SEC_E_INVALID_TOKEN);
  Channel small;
  small.bytes().resize(sizeof(SEC_CHANNEL_BINDINGS) - 1);
  EXPECT_EQ(Accept("", &small).status, SEC_E_INVALID_TOKEN);
}

}  // namespace
}  // namespace ktlsim::test
