// Lines of a key log as OpenSSL writes them, and malformed ones.
#include "tls/handshake/caught_secrets.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ktlsim::tls {
namespace {

const std::string kRandom(64, '7');

std::string Line(const std::string& label, const std::string& value) {
  return label + " " + kRandom + " " + value;
}

TEST(CaughtSecretsTest, EachLabelHasItsPlace) {
  CaughtSecrets caught;
  caught.Note(Line("CLIENT_TRAFFIC_SECRET_0", "0102"));
  caught.Note(Line("SERVER_TRAFFIC_SECRET_0", "aAfF00"));
  caught.Note(Line("EXPORTER_SECRET", "10"));
  EXPECT_THAT(caught.client_traffic.span(), testing::ElementsAre(1, 2));
  EXPECT_THAT(caught.server_traffic.span(), testing::ElementsAre(0xaa, 0xff, 0));
  EXPECT_THAT(caught.exporter.span(), testing::ElementsAre(0x10));
}

TEST(CaughtSecretsTest, IgnoresOtherSecrets) {
  CaughtSecrets caught;
  for (const char* label : {"CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                            "SERVER_HANDSHAKE_TRAFFIC_SECRET", "EXPORTER_SECRET_2", ""}) {
    caught.Note(Line(label, "0102"));
  }
  EXPECT_EQ(caught.client_traffic.size(), 0U);
  EXPECT_EQ(caught.server_traffic.size(), 0U);
  EXPECT_EQ(caught.exporter.size(), 0U);
}

TEST(CaughtSecretsTest, AMalformedLineEmptiesTheSecret) {
  for (const std::string& value : {std::string("012"), std::string("0g"), std::string("g0"),
                                   std::string(2 * (Secret::kBytesMax + 1), '0'), std::string()}) {
    CaughtSecrets caught;
    caught.Note(Line("EXPORTER_SECRET", "0102"));
    caught.Note(Line("EXPORTER_SECRET", value));
    EXPECT_EQ(caught.exporter.size(), 0U) << value;
  }
  CaughtSecrets caught;
  caught.Note("");
  caught.Note("EXPORTER_SECRET");
  EXPECT_EQ(caught.exporter.size(), 0U);
}

TEST(CaughtSecretsTest, ClearTrafficKeepsTheExporters) {
  CaughtSecrets caught;
  caught.Note(Line("CLIENT_TRAFFIC_SECRET_0", "01"));
  caught.Note(Line("SERVER_TRAFFIC_SECRET_0", "02"));
  caught.Note(Line("EXPORTER_SECRET", "03"));
  caught.ClearTraffic();
  EXPECT_EQ(caught.client_traffic.size(), 0U);
  EXPECT_EQ(caught.server_traffic.size(), 0U);
  EXPECT_EQ(caught.exporter.size(), 1U);
}

}  // namespace
}  // namespace ktlsim::tls
