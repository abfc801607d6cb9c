// The table of networks and the reading of specifications such as "convnet-w32-d4-bn".
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/registry.h"
#include "nets/arch/architectures.h"
#include "nets/specification.h"
#include "retort/core/error.h"

namespace retort::nets {
namespace {

struct Family {
  std::string name, summary, variants;
  Builder build;
};

constexpr const char* kResnetVariants =
    "in|bn (norm, in), ap (average pooling in place of strides), imagenet (stem of stride 2 with "
    "max pooling, for large images), w1-w1024 (width of the first stage, 64)";

const std::vector<Family>& families() {
  static const std::vector<Family> table = {
      {"convnet", "blocks of 3x3 convolution, norm, activation and pool; the usual student",
       "d1-d6 (depth, 3), w1-w1024 (width, 128), in|bn|ln|gn|nonorm (norm, in), "
       "relu|sigmoid|leaky|swish|tanh|softplus (relu), avgpool|maxpool|nopool (avgpool)",
       convnet},
      {"wideconv", "convolutions of doubling width, norm before all but the first; FRePo's network",
       "d1-d6 (depth, 3), w1-w1024 (width of the first, 128), bn|in|ln|gn|nonorm (norm, bn)",
       wideconv},
      {"mlp", "two hidden layers", "w1-w1024 (width, 128)", mlp},
      {"strided", "three convolutions of stride 2 and two hidden layers; for streams of tasks",
       "w1-w1024 (width, 160; hidden layers of twice as many)", strided},
      {"lenet", "LeNet-5 with ReLU and max pooling", "none", lenet},
      {"alexnet", "a small AlexNet of five convolutions", "nonorm|in|bn (norm, nonorm)", alexnet},
      {"vgg11", "VGG11 with a norm after each convolution", "in|bn (norm, in)", vgg11},
      {"resnet18", "ResNet18 for small images", kResnetVariants, resnet18},
      {"resnet34", "ResNet34 for small images", kResnetVariants, resnet34},
      {"resnet50", "ResNet50 for small images", kResnetVariants, resnet50},
      {"resnet101", "ResNet101 for small images", kResnetVariants, resnet101},
  };
  return table;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  size_t begin = 0;
  for (size_t dash = text.find('-'); dash != std::string::npos; dash = text.find('-', begin)) {
    words.push_back(text.substr(begin, dash - begin));
    begin = dash + 1;
  }
  words.push_back(text.substr(begin));
  return words;
}

std::string doing(const std::string& specification) {
  return "choosing the network '" + specification + "'";
}

}  // namespace

Variants::Variants(std::string specification, std::vector<std::string> words, std::string accepted)
    : specification_(std::move(specification)),
      accepted_(std::move(accepted)),
      words_(std::move(words)) {}

bool Variants::take(const std::string& word) {
  known_.push_back(word);
  return std::erase(words_, word) > 0;
}

void Variants::contradict(const std::string& word) const {
  throw ConfigError(ErrorMessage{doing(specification_),
                                 fmt::format("'{}' contradicts an earlier variant", word),
                                 "one of each: " + accepted_, "leave one of them out"});
}

int64_t Variants::number(char prefix, int64_t min, int64_t max, int64_t fallback) {
  bool any = false;
  for (auto word = words_.begin(); word != words_.end();) {
    int64_t value = 0;
    const char* end = word->data() + word->size();
    const bool numeric = word->size() > 1 && word->front() == prefix &&
                         std::from_chars(word->data() + 1, end, value).ptr == end;
    if (!numeric) {
      ++word;
      continue;
    }
    if (any) contradict(*word);
    if (value < min || value > max)
      throw ConfigError(ErrorMessage{doing(specification_),
                                     fmt::format("'{}' is out of range", *word),
                                     fmt::format("{0}{1} to {0}{2}", prefix, min, max),
                                     {}});
    any = true;
    fallback = value;
    word = words_.erase(word);
  }
  return fallback;
}

void Variants::finish() const {
  if (words_.empty()) return;
  if (words_.front() == "nn" && accepted_.find("nonorm") != std::string::npos)
    throw ConfigError(ErrorMessage{doing(specification_), "there is no variant 'nn' any more",
                                   accepted_, "write 'nonorm' in its place"});
  const std::string near = nearest(words_.front(), known_);
  throw ConfigError(ErrorMessage{doing(specification_),
                                 fmt::format("there is no variant '{}'", words_.front()), accepted_,
                                 near.empty() ? "" : fmt::format("did you mean '{}'?", near)});
}

const std::vector<NetworkEntry>& network_table() {
  static const std::vector<NetworkEntry> table = [] {
    std::vector<NetworkEntry> entries;
    for (const Family& family : families())
      entries.push_back({family.name, family.summary, family.variants});
    return entries;
  }();
  return table;
}

std::string family_of(const std::string& specification) {
  return split(specification).front();
}

bool is_convnet_of_depth(const std::string& specification, int64_t depth) {
  const std::vector<std::string> words = split(specification);
  if (words.front() != "convnet") return false;
  const auto says_depth = [](const std::string& word) {
    return word.size() > 1 && word[0] == 'd' && word[1] >= '0' && word[1] <= '9';
  };
  const auto said = std::find_if(words.begin(), words.end(), says_depth);
  return said == words.end() ? depth == kConvnetDepth : *said == fmt::format("d{}", depth);
}

std::unique_ptr<Network> make_network(const std::string& specification, const Shape& shape) {
  std::vector<std::string> words = split(specification);
  const Family& family = find_entry(std::span<const Family>(families()), "network", words.front());
  words.erase(words.begin());
  Variants variants(specification, std::move(words), family.variants);
  Architecture architecture = family.build(variants, shape);
  variants.finish();
  return std::make_unique<Network>(specification, std::move(architecture), shape);
}

}  // namespace retort::nets
