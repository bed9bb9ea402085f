// StatusSet: statuses of HTTP (RFC 9110 15), for example those that count as success.
#pragma once

#include <bitset>
#include <string>
#include <string_view>

namespace ktlsim::command {

// 100 to 599; any other number is in no set.
class StatusSet {
 public:
  // 200 to 399: the server did what was asked, or said where else to ask.
  static StatusSet Default();

  bool Has(unsigned status) const { return status < statuses_.size() && statuses_[status]; }
  void Add(unsigned from, unsigned to);

 private:
  std::bitset<600> statuses_;
};

// A comma list of classes and statuses: "2xx,404". Empty on success, else what is wrong with
// `text`; `*set` is then unchanged.
std::string ParseStatuses(std::string_view text, StatusSet* set);

}  // namespace ktlsim::command
