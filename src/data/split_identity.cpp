#include "retort/data/split_identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "core/file.h"
#include "retort/core/error.h"
#include "retort/data/dataset.h"

namespace retort::data {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostRows = 100'000;

/// "--test-fraction 0.2 --split-seed 5", empty for a source with all of its parts.
std::vector<std::string> settings(const SplitIdentity& split) {
  std::vector<std::string> words;
  if (split.test_fraction > 0)
    words.push_back(fmt::format("--test-fraction {}", split.test_fraction));
  if (split.validation_fraction > 0)
    words.push_back(fmt::format("--validation-fraction {}", split.validation_fraction));
  if (!words.empty()) words.push_back(fmt::format("--split-seed {}", split.seed));
  return words;
}

/// What to do about the split `found` where `wanted` is wanted.
std::string advice(const SplitIdentity& wanted) {
  const std::string give = wanted.flags();
  return "leave --test-fraction, --validation-fraction and --split-seed out: they are then taken "
         "over" +
         (give.empty() ? std::string() : ", or give " + give);
}

[[noreturn]] void refuse(const MadeFrom& made, const std::string& doing, const std::string& other,
                         const SplitIdentity& here) {
  const bool dealt = made.split.flags() == here.flags();
  throw StateError(ErrorMessage{
      doing,
      fmt::format("{} was made with the split: {}; {}: {}", made.what,
                  made.split.words() + (dealt ? " [" + made.split.train + "]" : ""), other,
                  here.words() + (dealt ? " [" + here.train + "]" : "")),
      "one split for both: otherwise images that it was made from are among those it is tested on",
      dealt ? "make it anew: the same settings give other parts than when it was made"
            : advice(made.split)});
}

}  // namespace

std::string SplitIdentity::text() const {
  if (!known()) return {};
  return Json{{"test_fraction", test_fraction},
              {"validation_fraction", validation_fraction},
              {"split_seed", seed},
              {"train", train},
              {"validation", validation},
              {"test", test}}
      .dump();
}

std::string SplitIdentity::words() const {
  if (!known()) return "not known";
  std::string words = test_fraction > 0 ? fmt::format("{:g} % of every class split off as test",
                                                      100 * test_fraction)
                                        : "the test part that the data came with";
  if (validation_fraction > 0)
    words += fmt::format(", {:g} % of the rest as validation", 100 * validation_fraction);
  return test_fraction > 0 || validation_fraction > 0
             ? words + fmt::format(" (split seed {})", seed)
             : words;
}

std::string SplitIdentity::flags() const {
  return fmt::format("{}", fmt::join(settings(*this), " "));
}

std::optional<SplitIdentity> parse_split(const std::string& text) {
  SplitIdentity split;
  if (text.empty()) return split;
  try {
    const Json json = Json::parse(text);
    const auto fraction = [&](const char* key) {
      const double value = json.at(key).get<double>();
      if (!(value >= 0 && value < 1)) throw std::out_of_range(key);
      return value;
    };
    split.test_fraction = fraction("test_fraction");
    split.validation_fraction = fraction("validation_fraction");
    split.seed = json.at("split_seed").get<int64_t>();
    split.train = json.at("train").get<std::string>();
    split.validation = json.at("validation").get<std::string>();
    split.test = json.at("test").get<std::string>();
  } catch (const std::exception&) {
    return {};
  }
  if (!split.known() || split.seed < 0) return {};
  return split;
}

std::string part_identity(const at::Tensor& images, const at::Tensor& labels) {
  const int64_t count = labels.size(0);
  if (count == 0) return {};
  const int64_t step = (count + kMostRows - 1) / kMostRows;
  const at::Tensor rows =
      images.slice(0, 0, count, step).select(1, 0).select(1, images.size(2) / 2).contiguous();
  const at::Tensor own = labels.contiguous();
  const uint64_t hash = hash_bytes(own.data_ptr(), own.nbytes());
  return fmt::format("{} images, {}", count, hex(hash_bytes(rows.data_ptr(), rows.nbytes(), hash)));
}

std::string check_split(const MadeFrom& made, const std::string& doing, const Dataset& data) {
  const std::string risk =
      "its test images may be among those that " + made.what + " was made from";
  const SplitIdentity& here = data.split;
  const bool split_off = here.test_fraction > 0;
  if (!here.known()) return {};  // made by hand
  if (!made.split.known() || made.data_hash.empty())
    return split_off ? "which images " + made.what +
                           " was made from is not known; the test part is split off here: " + risk
                     : "";
  if (made.data_hash == data.hash) {
    if (made.split != here) refuse(made, doing, "the data", here);
    return {};
  }
  if (made.split.train == here.train) return {};
  if (!split_off)
    return fmt::format("the data, of hash {}, are not those of hash {} that {} was made from",
                       data.hash, made.data_hash, made.what);
  throw StateError(ErrorMessage{
      doing,
      fmt::format("the data have changed since {} was made: their hash is {}, it was {}; their "
                  "test part is split off anew, and {}",
                  made.what, data.hash, made.data_hash, risk),
      "the data as they were, or data with a test part of their own",
      "give the folder as it was, or one with train/ and test/"});
}

void check_split(const MadeFrom& made, const std::string& doing, const MadeFrom& other) {
  const bool both = made.split.known() && other.split.known() && made.data_hash == other.data_hash;
  if (both && made.split != other.split) refuse(made, doing, other.what, other.split);
}

}  // namespace retort::data
