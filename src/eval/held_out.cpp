#include "eval/held_out.h"

#include "data/split.h"

namespace retort::eval {

data::Dataset with_validation(const data::Dataset& data, double fraction, int64_t seed) {
  data::Dataset parted = data;
  if (data.validation.size() == 0)
    std::tie(parted.train, parted.validation) =
        data::hold_out(data.train, fraction, seed, "eval.held_out");
  return parted;
}

}  // namespace retort::eval
