// Results of `ktlsim load` that several processes or machines measured at the same time, as one.
#pragma once

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim::command {

// `results`: of schema ktlsim-load/2, with the same kinds of operations in the same order; `files`
// are their names. Counts and histograms add up, rates too, because the runs were at the same time:
// if they were not, repeat by repeat, that is a reason why the result is not valid. The same result
// twice is refused. The repeats of all stay, and the
// confidence interval, which would be of figures of different places, is null. Nothing of the
// results is trusted. Empty: `*merged` is the result; else what is wrong. May throw std::bad_alloc.
std::string MergeResults(std::span<const nlohmann::json> results,
                         std::span<const std::string> files, nlohmann::json* merged);

}  // namespace ktlsim::command
