// Determines what the node lets this token do: what is refused anyway is not offered.

/** isDenied reports whether the node refused a request because of its token, or because there was none. */
export const isDenied = (error) => error?.status === 401 || error?.status === 403;

/** mayAct reports whether actions are offered: not before the node has answered, and not for a token that only reads. */
export function mayAct({ status }) {
  return status.data !== null && status.data.mayAct !== false && !isDenied(status.error); // an older node does not say
}
