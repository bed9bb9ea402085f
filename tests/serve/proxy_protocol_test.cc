#include "kernel_sim/serve/proxy_protocol.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string Header(const ProxyFacts& facts) {
  std::array<std::byte, kProxyHeaderBytesMax> out{};
  return {reinterpret_cast<const char*>(out.data()), FormatProxyHeader(facts, out)};
}

io::Address At(const char* text) { return io::Address::Parse(text).value(); }

TEST(ProxyProtocolTest, Ipv4WithEverything) {
  ProxyFacts facts;
  facts.source = At("192.0.2.1:258");
  facts.destination = At("198.51.100.7:443");
  facts.alpn = "h2";
  facts.server_name = "a.b";
  facts.tls_version = "TLSv1.3";
  facts.cipher_name = "X";
  const std::string ssl = std::string("\x01\0\0\0\x01", 5) + std::string("\x21\0\x07TLSv1.3", 10) +
                          std::string("\x23\0\x01X", 4);
  const std::string rest = std::string("\xc0\0\x02\x01\xc6\x33\x64\x07\x01\x02\x01\xbb", 12) +
                           std::string("\x01\0\x02h2", 5) +
                           std::string(
                               "\x02\0\x03"
                               "a.b",
                               6) +
                           std::string("\x20\0\x13", 3) + ssl;
  const std::string length{'\0', static_cast<char>(rest.size())};
  EXPECT_EQ(Header(facts), kSignature + "\x21\x11" + length + rest);
}

TEST(ProxyProtocolTest, TellsWhenAClientHasShownACertificateAndWhetherItIsGood) {
  // PP2_TYPE_SSL: type, length (2), client, verify (4).
  const auto ssl = [](const ProxyFacts& facts) { return Header(facts).substr(19, 5); };
  ProxyFacts facts;
  EXPECT_EQ(ssl(facts), std::string("\x01\0\0\0\x01", 5));
  facts.certificate_verified = true;  // of nothing
  facts.resumed = true;
  EXPECT_EQ(ssl(facts), std::string("\x01\0\0\0\x01", 5));
  facts.client_certificate = true;
  EXPECT_EQ(ssl(facts), std::string("\x05\0\0\0\0", 5));
  facts.resumed = false;
  EXPECT_EQ(ssl(facts), std::string("\x07\0\0\0\0", 5));
  facts.certificate_verified = false;
  EXPECT_EQ(ssl(facts), std::string("\x07\0\0\0\x01", 5));
}

TEST(ProxyProtocolTest, Ipv6) {
  ProxyFacts facts;
  facts.source = At("[2001:db8::1]:1");
  facts.destination = At("[::1]:2");
  const std::string header = Header(facts);
  EXPECT_EQ(header.substr(12, 2), "\x21\x21");
  ASSERT_GE(header.size(), 52U);
  EXPECT_EQ(header.substr(16, 4), std::string("\x20\x01\x0d\xb8", 4));
  EXPECT_EQ(header.substr(48, 4), std::string("\0\x01\0\x02", 4));
}

TEST(ProxyProtocolTest, UnixSocketsHaveTheirPaths) {
  ProxyFacts facts;
  const sockaddr unnamed{.sa_family = AF_UNIX, .sa_data = {}};
  facts.source = io::Address(&unnamed, sizeof(sa_family_t));
  facts.destination = At("unix:/run/a");
  const std::string header = Header(facts);
  EXPECT_EQ(header.substr(12, 2), "\x21\x31");
  ASSERT_GE(header.size(), 16U + 216U);
  EXPECT_EQ(header.substr(16, 108), std::string(108, '\0'));
  EXPECT_EQ(header.substr(124, 108), "/run/a" + std::string(102, '\0'));
  facts.destination = At("unix:@a");
  EXPECT_EQ(Header(facts).substr(124, 108), std::string("\0a", 2) + std::string(106, '\0'));
}

TEST(ProxyProtocolTest, UnknownAddressesAreNotInvented) {
  ProxyFacts facts;
  facts.source = At("192.0.2.1:1");
  EXPECT_EQ(Header(facts).substr(12, 2), std::string("\x21\0", 2));
  facts.destination = At("[::1]:2");
  EXPECT_EQ(Header(facts).substr(12, 2), std::string("\x21\0", 2));
}

TEST(ProxyProtocolTest, TheLongestFits) {
  ProxyFacts facts;
  facts.source = At("unix:/a");
  facts.destination = At("unix:/b");
  for (std::string* text :
       {&facts.alpn, &facts.server_name, &facts.tls_version, &facts.cipher_name}) {
    *text = std::string(255, 'x');
  }
  const std::string longest = Header(facts);
  EXPECT_LE(longest.size(), kProxyHeaderBytesMax);
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(longest[i]); };
  EXPECT_EQ(byte(14) * 256U + byte(15) + 16U, longest.size());
  facts.server_name += 'x';
  EXPECT_EQ(Header(facts).size(), longest.size() - 258);
}

}  // namespace
}  // namespace ktlsim::serve
