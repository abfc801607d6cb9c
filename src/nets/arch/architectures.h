// The families of networks that make_network knows, one file each.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "retort/nets/network.h"

namespace retort::nets {

/// The words after a network's name. A family takes what it knows; finish() refuses the rest.
class Variants {
 public:
  Variants(std::string specification, std::vector<std::string> words, std::string accepted);

  /// The value of the one word of `table` that is there, else `fallback`.
  template <class Value>
  Value choose(const std::vector<std::pair<std::string, Value>>& table, Value fallback) {
    bool any = false;
    for (const auto& [word, value] : table)
      if (take(word)) {
        if (any) contradict(word);
        any = true;
        fallback = value;
      }
    return fallback;
  }
  bool flag(const std::string& word) { return choose<bool>({{word, true}}, false); }
  /// The number of a word such as "w64", else `fallback`.
  int64_t number(char prefix, int64_t min, int64_t max, int64_t fallback);
  /// ConfigError where a word was not taken.
  void finish() const;

 private:
  bool take(const std::string& word);
  [[noreturn]] void contradict(const std::string& word) const;

  std::string specification_, accepted_;
  std::vector<std::string> words_, known_;
};

/// Reads the words it knows and returns the network's function; the caller finishes the variants.
using Builder = Architecture (*)(Variants& variants, const Shape& shape);

Architecture convnet(Variants& variants, const Shape& shape);
Architecture wideconv(Variants& variants, const Shape& shape);
Architecture mlp(Variants& variants, const Shape& shape);
Architecture strided(Variants& variants, const Shape& shape);
Architecture lenet(Variants& variants, const Shape& shape);
Architecture alexnet(Variants& variants, const Shape& shape);
Architecture vgg11(Variants& variants, const Shape& shape);
Architecture resnet18(Variants& variants, const Shape& shape);
Architecture resnet34(Variants& variants, const Shape& shape);
Architecture resnet50(Variants& variants, const Shape& shape);
Architecture resnet101(Variants& variants, const Shape& shape);

}  // namespace retort::nets
