// What the stand-in tenant answers, in Auth0's form.

export interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const NAMES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
};

export function error(statusCode: number, message: string, errorCode?: string): Reply {
  return {
    status: statusCode,
    body: { statusCode, error: NAMES[statusCode], message, ...(errorCode && { errorCode }) },
  };
}

export function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
