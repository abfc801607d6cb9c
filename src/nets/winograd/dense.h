// Small products of plain matrices on the thread that calls, for the linear layer behind the
// convolutions. A row's bits do not depend on the rows beside it. No torch here.
#pragma once

#include <cstdint>

namespace retort::nets {

/// c [m, n] += a [m, k] b [n, k]^T.
void add_rows_by_rows(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c);

/// c [m, n] += a b for b [k, n]: value (i, j) of a lies at a + i row + j column.
void add_matrix_product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row,
                        int64_t column, const float* b, float* c);

}  // namespace retort::nets
