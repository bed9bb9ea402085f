#include "kernel_sim/security/privileges.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::security {
namespace {

TEST(PrivilegesTest, NamesAndNumbersBothWays) {
  for (std::uint32_t i = kFirstPrivilege; i <= kLastPrivilege; ++i) {
    const auto privilege = static_cast<Privilege>(i);
    const std::string name(NameOf(privilege));
    EXPECT_TRUE(name.starts_with("Se") && name.ends_with("Privilege")) << name;
    EXPECT_EQ(FindPrivilege(name), privilege);
    EXPECT_EQ(PrivilegeOf(LuidOf(privilege)), privilege);
  }
  // ddk/wdm.h.
  EXPECT_EQ(NameOf(Privilege::kTcb), "SeTcbPrivilege");
  EXPECT_EQ(NameOf(Privilege::kTakeOwnership), "SeTakeOwnershipPrivilege");
  EXPECT_EQ(NameOf(Privilege::kChangeNotify), "SeChangeNotifyPrivilege");
  EXPECT_EQ(NameOf(Privilege::kImpersonate), "SeImpersonatePrivilege");
  EXPECT_EQ(NameOf(Privilege::kCreateSymbolicLink), "SeCreateSymbolicLinkPrivilege");
  EXPECT_EQ(FindPrivilege("setcbPRIVILEGE"), Privilege::kTcb);
  EXPECT_EQ(FindPrivilege("SeTcb"), std::nullopt);
  EXPECT_EQ(FindPrivilege(""), std::nullopt);
}

TEST(PrivilegesTest, LuidsThatAreNone) {
  for (const Luid luid :
       {Luid{0, 0}, Luid{1, 0}, Luid{36, 0}, Luid{8, 1}, Luid{8, -1}, Luid{0xFFFFFFFF, 0}}) {
    EXPECT_EQ(PrivilegeOf(luid), std::nullopt) << luid.low << " " << luid.high;
  }
}

TEST(PrivilegesTest, SetsInTheOrderOfLuids) {
  PrivilegeSet set = {Privilege::kImpersonate, Privilege::kSecurity, Privilege::kCreateToken};
  std::vector<Privilege> order;
  set.ForEach([&](Privilege one) { order.push_back(one); });
  EXPECT_EQ(order, (std::vector<Privilege>{Privilege::kCreateToken, Privilege::kSecurity,
                                           Privilege::kImpersonate}));
  EXPECT_EQ(set.count(), 3);
  set.Remove(Privilege::kSecurity);
  EXPECT_FALSE(set.Has(Privilege::kSecurity));
  EXPECT_EQ(set.And({Privilege::kSecurity, Privilege::kImpersonate}),
            PrivilegeSet{Privilege::kImpersonate});
  EXPECT_TRUE(PrivilegeSet().empty());
}

}  // namespace
}  // namespace ktlsim::security
