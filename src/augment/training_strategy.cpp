#include "augment/training_strategy.h"

#include <string_view>

namespace retort::augment {

TrainingStrategy parse_training_strategy(const std::string& text) {
  constexpr std::string_view kMixed = "+cutmix";
  constexpr double kShare = 0.5;
  if (!text.ends_with(kMixed)) return {parse_strategy(text)};
  return {parse_strategy(text.substr(0, text.size() - kMixed.size())), kShare};
}

}  // namespace retort::augment
