package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"paas/api"
	v3 "paas/api/v3"
)

// status maps error ids to HTTP statuses (Platform API reference, "Error
// Responses").
var status = map[api.ErrorID]int{
	api.BadRequest:           http.StatusBadRequest,
	api.Unauthorized:         http.StatusUnauthorized,
	api.Forbidden:            http.StatusForbidden,
	api.NotFound:             http.StatusNotFound,
	api.NotAcceptable:        http.StatusNotAcceptable,
	api.Conflict:             http.StatusConflict,
	api.Gone:                 http.StatusGone,
	api.PreconditionFailed:   http.StatusPreconditionFailed,
	api.RangeNotSatisfiable:  http.StatusRequestedRangeNotSatisfiable,
	api.InvalidParams:        http.StatusUnprocessableEntity,
	api.ConfirmationRequired: http.StatusLocked,
	api.RateLimit:            http.StatusTooManyRequests,
	api.Internal:             http.StatusInternalServerError,
	api.Unavailable:          http.StatusServiceUnavailable,
}

// fail is echo's error handler: the one place where errors become answers.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		// A body that broke off must not look complete: cut the connection.
		panic(http.ErrAbortHandler)
	}
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		// The client has gone, or paasd stops: an answer of nothing would look
		// like success.
		panic(http.ErrAbortHandler)
	}
	var known *api.Error
	var web *echo.HTTPError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &web) && web.Code == http.StatusNotFound:
		known = api.Errorf(api.NotFound, "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`)?")
	case errors.As(err, &web) && web.Code == http.StatusMethodNotAllowed:
		known = api.Errorf(api.NotFound, "The requested API endpoint does not know %s.", c.Request().Method)
	case errors.As(err, &web) && web.Code < 500:
		known = api.Errorf(api.BadRequest, "The request cannot be understood: %v", web.Message)
	default:
		id := c.Response().Header().Get(requestID)
		s.log.Error("request failed", "request_id", id, "method", c.Request().Method, "path", c.Path(), "err", err)
		known = api.Errorf(api.Internal, "Internal error (request %s). Tell your operator, who finds it in paasd's log.", id)
	}
	if known.Err != nil {
		s.log.Info("request refused", "path", c.Path(), "err", known)
	}
	code, ok := status[known.ID]
	if !ok {
		code = http.StatusInternalServerError
	}
	if code == http.StatusUnauthorized {
		// Not Basic, although it is taken: browsers would ask for a password,
		// keep it, and send it along with what other sites post here.
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="paas"`)
	}
	if err := reply(c, code, v3.Error{ID: string(known.ID), Message: known.Message, Resource: known.Resource}); err != nil {
		s.log.Info("cannot answer", "err", err)
	}
}
